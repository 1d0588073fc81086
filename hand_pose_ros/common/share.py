"""Paths of the package's own launch, config and model files, in the checkout or installed by colcon or pip."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

_PACKAGE = "hand_pose_ros"


def share_file(relative: str | Path) -> Path:
    """Path of a file of the package's share folder, such as ``config/estimator.yaml``.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = share_folder() / relative
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: the installation of {_PACKAGE} is not complete")
    return path


@lru_cache(maxsize=1)
def share_folder() -> Path:
    """The folder that holds package.xml, launch/, config/ and models/."""
    # Resolved: with `colcon build --symlink-install` the modules are links into the checkout.
    for parent in Path(__file__).resolve().parents:
        for folder in (parent, parent / "share" / _PACKAGE):
            manifest = folder / "package.xml"
            if manifest.is_file() and f"<name>{_PACKAGE}</name>" in manifest.read_text():
                return folder
    raise FileNotFoundError(f"no share folder of {_PACKAGE} above {__file__}: its package.xml is missing")
