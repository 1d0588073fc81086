"""The task trains the orientation network on stored features of MediaPipe's landmark network."""
