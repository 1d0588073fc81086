"""Pictures of the hand with exact ground truth, rendered on the CPU without a display."""
