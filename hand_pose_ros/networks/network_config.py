"""What every network's configuration can do: be written into a weight file, and be read from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TypeVar

from hand_pose_ros.common.dataclass_reading import read_dataclass

Config = TypeVar("Config", bound="NetworkConfig")


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that is needed to rebuild a network, in the fields of a derived dataclass."""

    def to_dict(self) -> dict:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls: type[Config], values: dict) -> Config:
        """The inverse of :meth:`to_dict`; what is not given has its default.

        Raises:
            ValueError: an unknown key or a bad value; the message names it.
        """
        return read_dataclass(cls, values, cls.__name__)
