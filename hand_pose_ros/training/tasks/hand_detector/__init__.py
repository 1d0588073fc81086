"""The task trains the hand detector on composed scenes."""
