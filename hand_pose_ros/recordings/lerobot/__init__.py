"""Data sets in the layout of LeRobotDataset v3.0 (huggingface/lerobot), written with PyArrow and PyAV alone."""
