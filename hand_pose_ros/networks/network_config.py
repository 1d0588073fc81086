"""The base class of network configurations converts them to and from plain values for the weight file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TypeVar

from hand_pose_ros.common.dataclass_reading import read_dataclass

Config = TypeVar("Config", bound="NetworkConfig")


@dataclass(frozen=True)
class NetworkConfig:
    """A derived dataclass holds everything that is needed to rebuild its network."""

    def to_dict(self) -> dict:
        """Convert to values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls: type[Config], values: dict) -> Config:
        """Invert :meth:`to_dict`; missing keys keep their defaults.

        Raises:
            ValueError: an unknown key or a bad value; the message names it.
        """
        return read_dataclass(cls, values, cls.__name__)
