"""Rigged hand meshes from glTF files, as templates of our own skeleton.

Files name their joints as OpenXR or WebXR do (``Index_Proximal_R``, ``index-finger-phalanx-proximal``). Their rest
pose gives our joints; each of their bones is one of ours, so :func:`hand_pose_ros.mesh.skinning.skin` poses their
mesh by our forward kinematics, stretched along the bones to our lengths.
"""

from __future__ import annotations

import base64
import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import torch

from hand_pose_ros import hand
from hand_pose_ros.files.bounded_text import shortened
from hand_pose_ros.files.regular_file import read_file
from hand_pose_ros.files.safe_json import parse_json
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.mesh.own_skeleton import on_our_skeleton
from hand_pose_ros.mesh.shape import STUMP_LENGTH_MM, TIP_OVERHANG_MM
from hand_pose_ros.mesh.template import HandTemplate

_COMPONENTS = {
    5120: np.int8,
    5121: np.uint8,
    5122: np.int16,
    5123: np.uint16,
    5125: np.uint32,
    5126: np.float32,
}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_FINGER_NAMES = {"thumb": "thumb", "index": "index", "middle": "middle", "ring": "ring", "little": "little",
                 "pinky": "little"}  # fmt: skip
# The level (0-3, from the palm) of our joint at which their bone begins; -1: none of ours.
_FINGER_LEVELS = {"metacarpal": -1, "proximal": 0, "intermediate": 1, "distal": 2, "tip": 3}
_THUMB_LEVELS = {"metacarpal": 0, "proximal": 1, "distal": 2, "tip": 3}
_MOST_BYTES = 256 << 20
_READ_ERRORS = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RuntimeError, MemoryError,
    struct.error,
)  # fmt: skip
"""A damaged document raises whatever its values run into."""
_STUMP_RINGS = 14
_NEAR_WRIST_M = 0.02
_BACKWARDS = 0.7
_LID_COSINE = 0.85
_LID_DEPTH_M = 0.012
_LID_FLATNESS_M = 0.005
_LEAST_ROUNDNESS = 0.6


@dataclass(frozen=True)
class RiggedHand:
    """A right hand's mesh as a template of our skeleton, and how it is coloured.

    template: as the shipped one, in its own rest pose (wrist frame, metres, its own proportions), with a stump of
        the forearm drawn out of the mesh's end; its regressor is zero, its joints come from the skeleton.
    corner_uv: (F, 3, 2) texture coordinates of the corners, u right and v down in the picture, 0 to 1.
    """

    template: HandTemplate
    corner_uv: np.ndarray


def load_rigged_hand(path: str | Path) -> RiggedHand:
    """Read a right hand from a ``.gltf`` with embedded buffers, or a ``.glb``.

    Raises:
        ValueError: no such hand in the file, or its wrist's end is none that the forearm can be drawn out of.
        OSError: the file is missing or cannot be read.
    """
    try:
        return _load(Path(path))
    except _READ_ERRORS as error:
        raise ValueError(f"{path} holds no rigged right hand: {shortened(str(error))}") from error


def _load(path: Path) -> RiggedHand:
    document, buffers = _read(path)
    skin = document["skins"][0]
    primitive = document["meshes"][0]["primitives"][0]
    attributes = primitive["attributes"]
    vertices = _accessor(document, buffers, attributes["POSITION"])
    uv = _accessor(document, buffers, attributes["TEXCOORD_0"])
    faces = _accessor(document, buffers, primitive["indices"]).reshape(-1, 3)
    joint_slots = _accessor(document, buffers, attributes["JOINTS_0"])
    slot_weights = _accessor(document, buffers, attributes["WEIGHTS_0"])
    inverse_bind = _accessor(document, buffers, skin["inverseBindMatrices"]).reshape(-1, 4, 4)
    names = [document["nodes"][node]["name"] for node in skin["joints"]]

    # glTF's matrices are column-major: read in rows, they are transposed. The bind pose is the rest pose.
    origins = np.linalg.inv(inverse_bind.transpose(0, 2, 1).astype(np.float64))[:, :3, 3]
    slots = [_our_place(name) for name in names]
    joints = np.full((hand.NUM_JOINTS, 3), np.nan)
    for origin, (joint, _) in zip(origins, slots, strict=True):
        if joint is not None:
            joints[joint] = origin
    if np.isnan(joints).any():
        missing = [hand.JOINT_NAMES[i] for i in np.flatnonzero(np.isnan(joints).any(axis=1))]
        raise ValueError(f"it has no joints for {', '.join(missing)}, only {names}")

    weights = np.zeros((len(vertices), hand.NUM_JOINTS))
    for column in range(slot_weights.shape[1]):
        bones = np.array([bone for _, bone in slots])[joint_slots[:, column].astype(int)]
        np.add.at(weights, (np.arange(len(vertices)), bones), slot_weights[:, column])
    weights /= weights.sum(axis=1, keepdims=True)
    corner_uv = uv[faces].astype(np.float32)
    vertices, faces, weights = _weld(vertices, faces, weights)
    _tips_into_flesh(vertices, weights, joints)
    template = on_our_skeleton(path.stem, vertices, faces, weights, joints).template
    return _with_stump(template, corner_uv)


def _weld(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One vertex where the file has several because its texture has a seam there."""
    _, first, same = np.unique(np.round(vertices, 6), axis=0, return_index=True, return_inverse=True)
    return vertices[first].astype(np.float64), same.reshape(-1)[faces], weights[first]


def _tips_into_flesh(vertices: np.ndarray, weights: np.ndarray, joints: np.ndarray) -> None:
    """Move the fingertips (in ``joints``) along their bones to where ours are, a little inside the flesh.

    Rigs put them anywhere between the nail's root and the skin's end, and nothing moves with them.
    """
    for tip in hand.FINGERTIPS:
        start = joints[tip - 1]
        axis = (joints[tip] - start) / np.linalg.norm(joints[tip] - start)
        reach = ((vertices[weights[:, tip] > 0.5] - start) @ axis).max()
        size = np.linalg.norm(joints[hand.ANCHOR_JOINT] - joints[0]) / hand.MEAN_ANCHOR_LENGTH_M
        joints[tip] = start + axis * (reach - TIP_OVERHANG_MM * 1e-3 * size)


def _with_stump(template: HandTemplate, corner_uv: np.ndarray) -> RiggedHand:
    """Take the lid off the wrist, if there is one, and draw its rim out to the length of our own stump."""
    no_lid = ~_lid(template)
    template, corner_uv = replace(template, faces=template.faces[no_lid]), corner_uv[no_lid]
    faces = template.faces.numpy()
    edges = _wrist_rim(faces, template.vertices.numpy())
    rim, edges = np.unique(edges, return_inverse=True)
    edges = edges.reshape(-1, 2)
    size = float(template.joints[hand.ANCHOR_JOINT].norm()) / hand.MEAN_ANCHOR_LENGTH_M
    start = template.vertices.numpy()[rim]
    end = start.copy()
    end[:, 0] = -STUMP_LENGTH_MM * 1e-3 * size
    shares = np.linspace(0, 1, _STUMP_RINGS + 1)[1:, None, None]
    rings = ((1 - shares) * start + shares * end).reshape(-1, 3).astype(np.float32)
    count = len(template.vertices)
    numbers = np.concatenate((rim[None], count + np.arange(len(rings)).reshape(_STUMP_RINGS, -1)))
    # A face beside the edge a -> b continues with the face that has it as b -> a.
    near, far = numbers[:-1, edges], numbers[1:, edges]
    first = np.stack((near[..., 1], near[..., 0], far[..., 0]), axis=-1).reshape(-1, 3)
    second = np.stack((near[..., 1], far[..., 0], far[..., 1]), axis=-1).reshape(-1, 3)
    added = np.concatenate((first, second))
    # The rim's own colour goes on along the arm.
    rim_uv = np.zeros((count + len(rings), 2), dtype=np.float32)
    rim_uv[faces.reshape(-1)] = corner_uv.reshape(-1, 2)
    rim_uv[count:] = np.tile(rim_uv[rim], (_STUMP_RINGS, 1))
    wrist = torch.zeros(len(rings), hand.NUM_JOINTS)
    wrist[:, hand.WRIST] = 1
    extended = replace(
        template,
        vertices=torch.cat((template.vertices, torch.from_numpy(rings))),
        faces=torch.from_numpy(np.concatenate((faces, added))),
        weights=torch.cat((template.weights, wrist)),
    )
    return RiggedHand(extended, np.concatenate((corner_uv, rim_uv[added])))


def _lid(template: HandTemplate) -> np.ndarray:
    """Which faces (F,) close the mesh at the wrist: a flat, perhaps slanting lid that looks back."""
    vertices = template.vertices.numpy()
    corners = vertices[template.faces.numpy()]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    backwards = normal[:, 0] < -_BACKWARDS * area
    seed = backwards & (corners[..., 0].max(axis=1) < vertices[:, 0].min() + _LID_DEPTH_M)
    if not seed.any():
        return seed
    axis = normal[seed].sum(axis=0)
    axis /= np.linalg.norm(axis)
    middle = corners[seed].mean(axis=(0, 1))
    distance = np.abs((corners.mean(axis=1) - middle) @ axis)
    return (normal @ axis > _LID_COSINE * area) & (distance < _LID_FLATNESS_M)


def _wrist_rim(faces: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Directed edges (E, 2), in the sense of their faces, of the longest open border near the wrist.

    Raises:
        ValueError: the mesh is closed there, or its end is more than a rim.
    """
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    key = directed.astype(np.int64) @ (len(vertices), 1)
    border = directed[~np.isin(key, directed[:, ::-1].astype(np.int64) @ (len(vertices), 1))]
    border = border[(vertices[border, 0] < _NEAR_WRIST_M).all(axis=1)]
    if len(border) == 0:
        raise ValueError("the mesh has neither an open end nor a flat lid at its wrist")
    graph = scipy.sparse.coo_matrix((np.ones(len(border)), border.T), shape=2 * (len(vertices),))
    _, hole = scipy.sparse.csgraph.connected_components(graph, directed=False)
    length = np.linalg.norm(np.diff(vertices[border], axis=1)[:, 0], axis=1)
    of_edge = hole[border[:, 0]]
    rim = border[of_edge == np.bincount(of_edge, length).argmax()]
    # The faces' edges go around the axis once, and enclose about an ellipse: pi / 4 of the box around it.
    start, end = vertices[rim[:, 0], 1:], vertices[rim[:, 1], 1:]
    area = 0.5 * (start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]).sum()
    if abs(area) < _LEAST_ROUNDNESS * np.ptp(start, axis=0).prod():
        raise ValueError("the mesh's end at its wrist is no simple rim")
    return rim


def _our_place(name: str) -> tuple[int | None, int]:
    """Our joint at which a bone of theirs begins, if any, and our bone (by its end) that moves as theirs does."""
    lower = name.lower()
    finger = next((ours for theirs, ours in _FINGER_NAMES.items() if theirs in lower), None)
    if finger is None:
        return (hand.WRIST if "wrist" in lower else None), hand.WRIST
    words = re.split(r"[^a-z]+", lower)
    levels = _THUMB_LEVELS if finger == "thumb" else _FINGER_LEVELS
    level = next((levels[word] for word in words if word in levels), None)
    if level is None:
        raise ValueError(f"unknown bone {name!r}")
    first = 1 + 4 * hand.FINGERS.index(finger)
    return (None if level < 0 else first + level), first + min(level + 1, 3)


def rest_frames(template: HandTemplate) -> HandFrames:
    """The skeleton of a template in its own rest pose."""
    return HandFrames(template.joints, template.rotations)


def _read(path: Path) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON document and its buffers."""
    data = read_file(path, _MOST_BYTES)
    if data[:4] == b"glTF":
        chunks, offset = {}, 12
        while offset < len(data):
            size, kind = struct.unpack_from("<I4s", data, offset)
            chunks[kind] = data[offset + 8 : offset + 8 + size]
            offset += 8 + size
        return parse_json(chunks[b"JSON"]), [chunks[b"BIN\0"]]
    document = parse_json(data)
    buffers = []
    for buffer in document["buffers"]:
        header, _, content = buffer["uri"].partition(",")
        if not header.endswith("base64"):
            raise ValueError("it keeps its buffers in other files; embed them")
        buffers.append(base64.b64decode(content))
    return document, buffers


def _accessor(document: dict[str, Any], buffers: list[bytes], number: int) -> np.ndarray:
    """The array (count, width) of an accessor, scaled to 0-1 if it is normalised."""
    accessor = document["accessors"][number]
    view = document["bufferViews"][accessor["bufferView"]]
    kind, width = np.dtype(_COMPONENTS[accessor["componentType"]]), _WIDTHS[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    step = view.get("byteStride", width * kind.itemsize)
    if step < width * kind.itemsize:
        raise ValueError(f"the values of accessor {number} overlap")
    shape = (accessor["count"], width)
    array = np.ndarray(shape, kind, buffers[view.get("buffer", 0)], start, (step, kind.itemsize))
    if kind.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"accessor {number} holds values that are not finite")
    return array / np.iinfo(kind).max if accessor.get("normalized") else array.copy()
