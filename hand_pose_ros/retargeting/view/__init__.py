"""Images of a robot hand: what its URDF draws, and its vectors beside the human hand's."""
