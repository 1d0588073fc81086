"""Rotations, the forward kinematics layer, limits, and the inverse kinematics solver."""
