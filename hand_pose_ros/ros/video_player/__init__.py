"""The video_player node plays a video source as a camera."""
