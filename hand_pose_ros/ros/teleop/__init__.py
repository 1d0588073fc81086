"""The hand_teleop node moves a robot hand after a human hand."""
