"""The demo plays a source through the nodes and records their topics."""
