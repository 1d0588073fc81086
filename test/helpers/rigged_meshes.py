"""The shipped hand as somebody else's rig, in a glTF file."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.mesh.template import HandTemplate, load_template


def names_of_bones() -> list[str]:
    """OpenXR's name of the bone that begins at each of our joints."""
    names = ["Wrist_R"]
    for finger in hand.FINGERS:
        parts = ("Metacarpal", "Proximal", "Distal", "Tip")
        if finger != "thumb":
            parts = ("Proximal", "Intermediate", "Distal", "Tip")
        names += [f"{finger.capitalize()}_{part}_R" for part in parts]
    return names


def write_gltf(path: Path, turn: torch.Tensor, shift: torch.Tensor) -> HandTemplate:
    """The shipped template as somebody else's rig, in another frame and without its stump's end."""
    template = load_template()
    corners = template.vertices[template.faces]
    faces = template.faces[(corners[..., 0] > -0.03).all(dim=-1)]
    # Our bones by their ends, theirs by their starts.
    begins = [hand.WRIST] + [hand.WRIST if parent == hand.WRIST else parent for parent, _ in hand.BONES]
    top = template.weights.topk(4, dim=-1)
    slots = torch.tensor(begins)[top.indices]
    arrays = {
        "POSITION": (template.vertices @ turn.T + shift).numpy().astype(np.float32),
        "TEXCOORD_0": np.random.default_rng(0).random((len(template.vertices), 2)).astype(np.float32),
        "JOINTS_0": slots.numpy().astype(np.uint8),
        "WEIGHTS_0": (top.values / top.values.sum(-1, keepdim=True)).numpy().astype(np.float32),
        "indices": faces.reshape(-1, 1).numpy().astype(np.uint16),
        "bind": np.stack(
            [
                np.linalg.inv(matrix).T.reshape(16)
                for matrix in joint_matrices(template.joints @ turn.T + shift)
            ]
        ).astype(np.float32),
    }
    kinds = {"POSITION": "VEC3", "TEXCOORD_0": "VEC2", "JOINTS_0": "VEC4", "WEIGHTS_0": "VEC4",
             "indices": "SCALAR", "bind": "MAT4"}  # fmt: skip
    codes = {np.dtype(np.float32): 5126, np.dtype(np.uint8): 5121, np.dtype(np.uint16): 5123}
    data, views, accessors = b"", [], []
    for name, array in arrays.items():
        data += b"\0" * (-len(data) % 4)
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": array.nbytes})
        accessors.append({"bufferView": len(views) - 1, "componentType": codes[array.dtype],
                          "count": len(array), "type": kinds[name]})  # fmt: skip
        data += array.tobytes()
    number = {name: index for index, name in enumerate(arrays)}
    document = {
        "nodes": [{"name": name} for name in names_of_bones()],
        "skins": [{"joints": list(range(hand.NUM_JOINTS)), "inverseBindMatrices": number["bind"]}],
        "meshes": [{"primitives": [{"attributes": {name: number[name] for name in list(arrays)[:4]},
                                    "indices": number["indices"]}]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"uri": "data:application/octet-stream;base64," + base64.b64encode(data).decode()}],
    }  # fmt: skip
    path.write_text(json.dumps(document))
    return template


def joint_matrices(joints: torch.Tensor) -> np.ndarray:
    matrices = np.tile(np.eye(4), (len(joints), 1, 1))
    matrices[:, :3, 3] = joints.numpy()
    return matrices
