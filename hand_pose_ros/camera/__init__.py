"""The calibrated camera, the crop as a virtual camera, and the depth and scale of a hand in its image."""
