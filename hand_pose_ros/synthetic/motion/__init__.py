"""Generated videos of moving hands."""
