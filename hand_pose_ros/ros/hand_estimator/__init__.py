"""The hand_estimator node."""
