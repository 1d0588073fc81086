"""The demo's robot: a simulated robot hand follows the human hand through hand_teleop."""
