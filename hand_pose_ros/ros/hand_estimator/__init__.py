"""The hand_estimator node runs the pipeline on camera images."""
