"""Reads the user's own MANO file: a mesh of 778 vertices with shapes and pose corrections (Romero et al. 2017).

MANO is licensed by its makers to each user, and no part of it is in this package; the user's ``MANO_RIGHT.npz`` or
``MANO_RIGHT.pkl`` is named by its path. Of a pickle nothing is run: its numbers are taken, also out of SciPy's
sparse matrices and chumpy's arrays, neither of which is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.files.bounded_text import shortened
from hand_pose_ros.files.safe_arrays import read_arrays
from hand_pose_ros.files.safe_pickle import StandIn, read_pickle
from hand_pose_ros.mesh.own_skeleton import on_our_skeleton
from hand_pose_ros.mesh.template import HandTemplate

MANO: Final = "mano"
"""Name of the template."""
NUM_VERTICES: Final = 778
MANO_JOINTS: Final = (
    "wrist",
    "index_mcp", "index_pip", "index_dip",
    "middle_mcp", "middle_pip", "middle_dip",
    "little_mcp", "little_pip", "little_dip",
    "ring_mcp", "ring_pip", "ring_dip",
    "thumb_cmc", "thumb_mcp", "thumb_ip",
)  # fmt: skip
"""Our name of each of the model's joints, in its order."""
MANO_PARENTS: Final = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
TIP_VERTICES: Final = (744, 320, 443, 554, 671)
"""The vertices that smplx takes for the fingertips, thumb to little finger."""
MOVED_BONES: Final = tuple(0 if name == "wrist" else hand.JOINT_INDEX[name] + 1 for name in MANO_JOINTS)
"""For each of the model's joints our bone, by the joint that it ends in, that moves with it; 0 for the wrist."""
_MOST_BYTES: Final = 256 << 20
_ARRAYS: Final = ("v_template", "f", "weights", "shapedirs", "posedirs", "J_regressor", "kintree_table")
_CORRECTIONS: Final = 9 * (len(MANO_JOINTS) - 1)
_UP: Final = 1  # its axis


@dataclass(frozen=True, eq=False)
class ManoModel:
    """MANO's right hand, float64, in its own axes, metres.

    vertices: (778, 3) of the mean shape at rest. weights: (778, 16) of its joints.
    shapes: (778, 3, B) displacements by its B shape parameters.
    corrections: (778, 3, 135) displacements by the rotations of its 15 finger joints.
    regressor: (21, 778), our joints of a mesh: its own by its regressor, the fingertips by vertices.
    rest: (21, 3, 3) frames of our bones in its rest pose.
    template: the mean shape as a template of our skeleton, without the corrections.
    """

    vertices: Tensor
    weights: Tensor
    shapes: Tensor
    corrections: Tensor
    regressor: Tensor
    rest: Tensor
    template: HandTemplate


def load_mano(path: str | Path) -> ManoModel:
    """Read a ``MANO_RIGHT`` file, an ``.npz`` of numbers or the ``.pkl`` as its makers publish it.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is damaged, holds something else, or a left hand.
    """
    path = Path(path)
    try:
        return _model(_arrays(path))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{path} is not MANO's right hand: {shortened(str(error))}") from error


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".npz":
        found: Any = read_arrays(path, _MOST_BYTES, names=_ARRAYS)
    else:
        found = read_pickle(path, _MOST_BYTES, stand_ins=_STAND_INS)
    if not isinstance(found, dict):
        raise ValueError("it holds no table of arrays")
    missing = [name for name in _ARRAYS if name not in found]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    arrays = {}
    for name in _ARRAYS:
        value = found[name]
        array = np.asarray(value.array() if isinstance(value, _Stored) else value)
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite numbers")
        arrays[name] = array
    return arrays


def _model(arrays: dict[str, np.ndarray]) -> ManoModel:
    count = len(MANO_JOINTS)
    shapes = {
        "v_template": (NUM_VERTICES, 3),
        "weights": (NUM_VERTICES, count),
        "posedirs": (NUM_VERTICES, 3, _CORRECTIONS),
        "J_regressor": (count, NUM_VERTICES),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {arrays[name].shape}")
    by_shape, faces = arrays["shapedirs"].astype(np.float64), arrays["f"].astype(np.int64)
    if by_shape.ndim != 3 or by_shape.shape[:2] != (NUM_VERTICES, 3) or not by_shape.shape[2]:
        raise ValueError(f"shapedirs must have shape ({NUM_VERTICES}, 3, B), got {by_shape.shape}")
    if faces.ndim != 2 or faces.shape[1] != 3 or not 0 <= faces.min() <= faces.max() < NUM_VERTICES:
        raise ValueError(f"f must be (F, 3) indices of {NUM_VERTICES} vertices")
    parents = arrays["kintree_table"].astype(np.int64)
    if parents.shape != (2, count) or tuple(parents[0, 1:]) != MANO_PARENTS[1:]:
        raise ValueError("its joints are not connected as MANO's are")
    vertices = arrays["v_template"].astype(np.float64)
    regressor = np.zeros((hand.NUM_JOINTS, NUM_VERTICES))
    regressor[[hand.JOINT_INDEX[name] for name in MANO_JOINTS]] = arrays["J_regressor"]
    regressor[list(hand.FINGERTIPS), list(TIP_VERTICES)] = 1.0
    weights = arrays["weights"].astype(np.float64)
    of_bones = np.zeros((NUM_VERTICES, hand.NUM_JOINTS))
    of_bones[:, list(MOVED_BONES)] = weights
    joints = regressor @ vertices
    template, wrist = on_our_skeleton(MANO, vertices, faces, of_bones, joints, regressor)
    if not float(wrist[_UP, 2]) > 0:  # the palms of both of its hands look down
        raise ValueError("it is a left hand; the right one serves both sides")
    rest = wrist @ template.rotations.double()
    return ManoModel(
        vertices=torch.from_numpy(vertices),
        weights=torch.from_numpy(weights),
        shapes=torch.from_numpy(np.ascontiguousarray(by_shape)),
        corrections=torch.from_numpy(np.ascontiguousarray(arrays["posedirs"], np.float64)),
        regressor=torch.from_numpy(regressor),
        rest=rest,
        template=template,
    )


class _Stored(StandIn):
    """An object of another library that holds one array."""

    def array(self) -> np.ndarray:
        """The array.

        Raises:
            ValueError, KeyError, TypeError: the content is none of this library.
        """
        raise NotImplementedError


class _Chumpy(_Stored):
    """``chumpy.ch.Ch``, which keeps its numbers as ``x``."""

    def array(self) -> np.ndarray:
        """See :class:`_Stored`."""
        value = self.state["x"]
        return value.array() if isinstance(value, _Stored) else np.asarray(value)


class _ChumpySelect(_Stored):
    """``chumpy.reordering.Select``: some of the numbers of another array, in a shape of their own."""

    def array(self) -> np.ndarray:
        """See :class:`_Stored`."""
        source = self.state["a"]
        values = source.array() if isinstance(source, _Stored) else np.asarray(source)
        chosen = values.ravel()[np.asarray(self.state["idxs"])]
        shape = self.state.get("preferred_shape")
        return chosen if shape is None else chosen.reshape(tuple(int(one) for one in shape))


class _Sparse(_Stored):
    """A sparse matrix of SciPy by columns."""

    def array(self) -> np.ndarray:
        """See :class:`_Stored`."""
        rows, columns = (int(one) for one in self.state.get("_shape", self.state.get("shape")))
        data, indices, starts = (np.asarray(self.state[name]) for name in ("data", "indices", "indptr"))
        if not (0 < rows * columns <= 1 << 24) or len(starts) != columns + 1 or len(data) != len(indices):
            raise ValueError("a sparse matrix does not fit its shape")
        full = np.zeros((rows, columns))
        np.add.at(full, (indices, np.repeat(np.arange(columns), np.diff(starts))), data)
        return full


_STAND_INS: Final[dict[tuple[str, str], type[StandIn]]] = {
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy", "Ch"): _Chumpy,
    ("chumpy.reordering", "Select"): _ChumpySelect,
    **{
        (module, name): _Sparse
        for module in ("scipy.sparse.csc", "scipy.sparse._csc")
        for name in ("csc_matrix", "csc_array")
    },
}
