"""A robot hand follows a human hand: kinematics of the robot, profiles of robot hands, and the retargeting itself.

No ROS, no PyTorch. Needs Pinocchio: ``pip install hand-pose-ros[teleoperation]``.
"""
