"""From a human hand to a robot hand: retargeting, the safety of teleoperation, the wrist for the arm. No ROS."""
