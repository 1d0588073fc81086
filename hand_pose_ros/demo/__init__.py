"""What the demo makes of a run: a recording, an annotated video, a picture, and the error against the truth."""
