"""Safety of teleoperation: which hand counts, when the robot follows, and how fast it may move."""
