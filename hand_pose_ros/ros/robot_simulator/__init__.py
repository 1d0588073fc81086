"""The robot_simulator node stands in for a robot hand and its driver."""
