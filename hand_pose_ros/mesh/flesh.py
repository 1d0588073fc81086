"""How deep joints lie in the flesh: a joint with no more than this in front of it is visible."""

from __future__ import annotations

from typing import Final

JOINT_DEPTHS_M: Final = (0.020, 0.018, 0.014, 0.012, 0.010) + (0.015, 0.011, 0.010, 0.009) * 4
"""Of each joint, for a hand of the mean size."""
SLANT: Final = 1.5
"""A slanting ray passes through more flesh, by up to this factor."""
