"""The wrist for the arm: from the human wrist in the camera's frame to a target in a frame of the robot."""
