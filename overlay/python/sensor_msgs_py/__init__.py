"""Stand-in for what hand_pose_ros uses of sensor_msgs_py, where ROS 2 comes from PyPI, which lacks it."""
