"""The ROS 2 side: nodes, message builders and parameters. Nothing outside this folder imports ROS."""
