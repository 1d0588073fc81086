"""The package converts between ROS messages and the package's types by pure functions."""
