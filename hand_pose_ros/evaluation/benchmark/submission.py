"""Writes the submission for the servers of FreiHAND and HO-3D: a zip file with ``pred.json``.

The file holds the joints of all hands, then the vertices of all, in the order of the set. Our mesh is not
MANO's, so the servers measure F-scores only of it, which they align by the joints.
"""

from __future__ import annotations

import json
import logging
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.datasets.readers.ho3d import to_submission
from hand_pose_ros.evaluation.benchmark.scoring import Estimates
from hand_pose_ros.files.atomic_file import atomic_path

SERVERS: Final = ("freihand", "ho3d")
NAME: Final = "pred.json"

_log = logging.getLogger(__name__)


def write_submission(estimates: Estimates, server: str, path: Path) -> int:
    """Write the zip file for a server; returns the number of hands without an estimate.

    The format has no place for unknown values: hands without an estimate are zeros, as in the servers' own
    example.

    Raises:
        ValueError: an unknown server, or no mesh at all.
    """
    if server not in SERVERS:
        raise ValueError(f"server must be one of {', '.join(SERVERS)}, got {server!r}")
    meshes = [mesh for mesh in estimates.vertices_m if mesh is not None]
    if not meshes:
        raise ValueError("a submission needs meshes, and no hand has one")
    joints, vertices, missing = [], [], 0
    for points, mesh in zip(estimates.joints_m, estimates.vertices_m, strict=True):
        if mesh is None or not np.isfinite(points).all():
            missing += 1
            joints.append(np.zeros((hand.NUM_JOINTS, 3)))
            vertices.append(np.zeros_like(meshes[0]))
            continue
        turned = server == "ho3d"
        joints.append(to_submission(points, is_joints=True) if turned else points)
        vertices.append(to_submission(mesh, is_joints=False) if turned else mesh)
    if missing:
        _log.warning("%d of %d hands have no estimate and are zeros in the submission", missing, len(joints))
    with (
        atomic_path(path) as unfinished,
        zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(NAME, "w", force_zip64=True) as file,
    ):
        file.write(b"[")
        _write_list(file, joints)
        file.write(b", ")
        _write_list(file, vertices)
        file.write(b"]")
    return missing


def _write_list(file, arrays: list[np.ndarray]) -> None:
    """Write arrays as a JSON list, one at a time, in tenths of a micrometre."""
    for number, array in enumerate(arrays):
        file.write(b"[" if number == 0 else b", ")
        file.write(json.dumps(np.round(array, 7).tolist()).encode())
    file.write(b"]")
