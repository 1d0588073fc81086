"""Data for training and measurement: readers of poses, and what makes poses and images."""
