"""The hand's surface: a template built by our own code from the skeleton, and its skinning."""
