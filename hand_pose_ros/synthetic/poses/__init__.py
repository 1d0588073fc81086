"""Generated hand poses and the prior that they are drawn from."""
