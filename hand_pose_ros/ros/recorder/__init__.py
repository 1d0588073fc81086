"""The recorder records episodes of the graph for learning: `hand_pose record`."""
