"""Conversions between ROS messages and the package's types, as pure functions."""
