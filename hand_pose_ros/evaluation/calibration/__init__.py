"""Whether the published covariance matches the errors."""
