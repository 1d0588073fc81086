"""A robot hand follows a human hand: kinematics of the robot, profiles of robot hands, and the retargeting itself.

Also the safety of teleoperation and the wrist for the arm. No ROS. Robot hands need Pinocchio:
``pip install hand-pose-ros[teleoperation]``.
"""
