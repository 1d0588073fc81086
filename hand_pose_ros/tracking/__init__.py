"""Hands over time: who is who from frame to frame, where to look next, and a steady wrist."""
