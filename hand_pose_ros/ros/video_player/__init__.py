"""The video_player node."""
