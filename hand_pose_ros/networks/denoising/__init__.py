"""Noise schedule and samplers, which know no hand."""
