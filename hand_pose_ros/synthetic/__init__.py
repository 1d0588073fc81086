"""Generated hands: poses, views and detector noise."""
