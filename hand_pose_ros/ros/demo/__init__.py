"""The demo: plays a source through the nodes and records what they publish."""
