"""Metric 3D human hands from an RGB camera: the hand, its geometry, and the ROS 2 nodes on top."""
