"""Whole images for the hand detector, with no hand to several, composed of renders, photos and backgrounds."""
