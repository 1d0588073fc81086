"""Readers of the public data sets, one a file; :mod:`hand_pose_ros.datasets.registry` finds them by name."""
