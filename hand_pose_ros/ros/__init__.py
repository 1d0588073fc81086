"""The ROS 2 side holds nodes, message builders and parameters. Nothing outside this folder imports ROS."""
