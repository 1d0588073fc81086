"""A robot hand from its URDF: independent joints with limits, mimic joints, forward kinematics and derivatives.

Pinocchio computes the kinematics. Everything is in the frame of the URDF's root link, the robot's *base
frame*. The independent joints are those that a command sets; mimic joints follow them: ``q_all = A q + b``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.retargeting.urdf_tree import UrdfJoint, UrdfTree, read_urdf

Array = NDArray[np.float64]
"""A NumPy array of double-precision numbers; a function's docstring states the shape."""


class LinkMotion(NamedTuple):
    """Poses of k links, and their Jacobians with respect to all m joints (mimic joints too, in Pinocchio's order).

    positions_m: (k, 3) origins of the links in the base frame.
    jacobians: (k, 3, m) derivative of each position by each joint.
    axes: (3, m) axis of each joint in the base frame; zero for a prismatic joint.
    """

    positions_m: Array
    jacobians: Array
    axes: Array


class RobotHand:
    """The kinematics of one robot hand. Not thread-safe: Pinocchio writes into one workspace.

    name: the URDF's. root_link: its frame is the base frame. link_names: all links.
    joint_names: the n independent joints, in the order of the document; every vector of positions has this
        order.
    lower_rad, upper_rad: (n,) limits, inside which mimic joints keep theirs too. Metres for a prismatic
        joint.
    velocity_rad_s: (n,) velocity limits that keep mimic joints inside theirs, too.
    all_joint_names: the m movable joints with the mimic joints, in the order of the document.
    assumed_velocity_joints: joints whose velocity limit is the default because the URDF states none.
    reduction: (m, n) matrix A of ``q_all = A q + b``, rows in Pinocchio's order.
    ancestors: (m, m) whether the row's joint is an ancestor of the column's, or the same, in Pinocchio's
        order.
    """

    def __init__(self, tree: UrdfTree, ignore_mimic: bool = False) -> None:
        """Make the kinematics of a URDF that was read; see :meth:`from_urdf`."""
        self._pin = _pinocchio()
        self._model = self._pin.buildModelFromXML(tree.xml)
        self._data = self._model.createData()
        self.name = tree.name
        self.root_link = tree.root_link
        self.link_names = tree.links
        self.all_joint_names = tuple(joint.name for joint in tree.joints)
        self.assumed_velocity_joints = tuple(joint.name for joint in tree.joints if joint.assumed_velocity)
        independent = [joint for joint in tree.joints if ignore_mimic or joint.mimic is None]
        if not independent:
            raise ValueError("the URDF has no joint that moves")
        self.joint_names = tuple(joint.name for joint in independent)
        self.mimic_joints = () if ignore_mimic else tuple(joint for joint in tree.joints if joint.mimic)
        index = [self._model.joints[self._model.getJointId(name)].idx_v for name in self.all_joint_names]
        self._pin_index = np.array(index, dtype=np.intp)
        matrix, offset = _mimic_map(tree.joints, self.joint_names, ignore_mimic)
        self.reduction = np.zeros_like(matrix)
        self.reduction[self._pin_index] = matrix
        self._matrix, self._all_offset = matrix, offset
        self._offset = np.zeros_like(offset)
        self._offset[self._pin_index] = offset
        self.lower_rad, self.upper_rad, self.velocity_rad_s = _limits(
            tree.joints, self.joint_names, matrix, offset
        )
        self._supports = self._support_masks()
        self._mask_cache: dict[tuple[int, ...], Array] = {}
        self.ancestors = self._ancestor_mask()

    @classmethod
    def from_urdf(
        cls,
        text: str,
        *,
        limits: Mapping[str, Sequence[float]] | None = None,
        velocities: Mapping[str, float] | None = None,
        velocity: float | None = None,
        free_base: bool = False,
        ignore_mimic: bool = False,
    ) -> RobotHand:
        """Make a robot hand from the text of its URDF.

        Args:
            text: the document, with xacro expanded.
            limits: (lower, upper) by joint, in place of the URDF's.
            velocities: velocity limits by joint, in place of the URDF's. velocity: that of all other joints.
                A joint without any gets :data:`~hand_pose_ros.retargeting.urdf_tree.DEFAULT_VELOCITY_RAD_S`.
            free_base: add six joints above the root link.
            ignore_mimic: take mimic joints as independent ones.

        Raises:
            ValueError: see :func:`~hand_pose_ros.retargeting.urdf_tree.read_urdf`; or mimic joints that
                follow each other in a circle or leave a joint no range.
            ImportError: Pinocchio is not installed; says how to install it.
        """
        tree = read_urdf(text, limits=limits, velocities=velocities, velocity=velocity, free_base=free_base)
        return cls(tree, ignore_mimic)

    @classmethod
    def from_file(cls, path: str | Path, **options: Any) -> RobotHand:
        """Make a robot hand from a URDF file; options as :meth:`from_urdf`."""
        return cls.from_urdf(Path(path).read_text(), **options)

    @property
    def num_joints(self) -> int:
        """The number n of independent joints."""
        return len(self.joint_names)

    @property
    def middle_rad(self) -> Array:
        """(n,) positions in the middle of the limits."""
        return (self.lower_rad + self.upper_rad) / 2

    def expand(self, positions_rad: Array) -> Array:
        """Positions (m,) of all joints, as ``all_joint_names``, from those (n,) of the independent ones."""
        return self._matrix @ positions_rad + self._all_offset

    def clip(self, positions_rad: Array) -> Array:
        """Positions (n,) moved inside the limits."""
        return np.clip(positions_rad, self.lower_rad, self.upper_rad)

    def link_indices(self, links: Sequence[str]) -> tuple[int, ...]:
        """The indices that the other functions take for links.

        Raises:
            ValueError: the hand has no such link; names it and those that there are.
        """
        if unknown := sorted(set(links) - set(self.link_names)):
            raise ValueError(
                f"the URDF has no link {', '.join(unknown)}; its links are {', '.join(self.link_names)}"
            )
        return tuple(self._model.getFrameId(link, self._pin.FrameType.BODY) for link in links)

    def link_positions(self, positions_rad: Array, links: Sequence[int]) -> Array:
        """Origins (k, 3) of k links in the base frame, metres."""
        self._pin.forwardKinematics(self._model, self._data, self.reduction @ positions_rad + self._offset)
        return self._origins(links)

    def link_poses(self, positions_rad: Array, links: Sequence[int]) -> Array:
        """Poses T_base_link (k, 4, 4) of k links."""
        self._pin.forwardKinematics(self._model, self._data, self.reduction @ positions_rad + self._offset)
        update = self._pin.updateFramePlacement
        return np.array([update(self._model, self._data, link).homogeneous for link in links])

    def link_motion(self, positions_rad: Array, links: Sequence[int]) -> LinkMotion:
        """Positions of k links and their derivatives by all m joints (``@ reduction`` gives those by the n)."""
        self._pin.computeJointJacobians(
            self._model, self._data, self.reduction @ positions_rad + self._offset
        )
        origins = self._origins(links)
        columns: Array = self._data.J  # (6, m): velocity of the base frame's origin, and the axis
        linear, axes = columns[:3], columns[3:]
        x, y, z = origins[:, 0, None], origins[:, 1, None], origins[:, 2, None]
        jacobians = np.empty((len(links), 3, columns.shape[1]))
        jacobians[:, 0] = linear[0] + axes[1] * z - axes[2] * y
        jacobians[:, 1] = linear[1] + axes[2] * x - axes[0] * z
        jacobians[:, 2] = linear[2] + axes[0] * y - axes[1] * x
        jacobians *= self._masks(tuple(links))
        return LinkMotion(origins, jacobians, np.array(axes))

    def _masks(self, links: tuple[int, ...]) -> Array:
        """(k, 1, m) 1 where a joint moves a link, else 0."""
        if links not in self._mask_cache:
            self._mask_cache[links] = self._supports[list(links), None]
        return self._mask_cache[links]

    def _origins(self, links: Sequence[int]) -> Array:
        model, data, update = self._model, self._data, self._pin.updateFramePlacement
        return np.array([update(model, data, link).translation for link in links])

    def _support_masks(self) -> Array:
        """(frames, m) 1 where a joint moves a frame, else 0."""
        joint_mask = np.zeros((self._model.njoints, self._model.nv))
        for joint in range(1, self._model.njoints):
            joint_mask[joint] = joint_mask[self._model.parents[joint]]
            joint_mask[joint, self._model.joints[joint].idx_v] = 1
        return np.array([joint_mask[_parent_joint(frame)] for frame in self._model.frames])

    def _ancestor_mask(self) -> Array:
        count = self._model.nv
        mask = np.zeros((count, count))
        for joint in range(1, self._model.njoints):
            above = joint
            while above:
                mask[self._model.joints[above].idx_v, self._model.joints[joint].idx_v] = 1
                above = self._model.parents[above]
        return mask


def _pinocchio() -> Any:
    try:
        import pinocchio  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "retargeting needs Pinocchio: pip install 'hand_pose_ros[teleoperation]', or pip install pin"
        ) from error
    return pinocchio


def _parent_joint(frame: Any) -> int:
    """The joint that carries a frame; Pinocchio 3 renamed the attribute."""
    return frame.parentJoint if hasattr(frame, "parentJoint") else frame.parent


def _mimic_map(
    joints: Sequence[UrdfJoint], independent: Sequence[str], ignore_mimic: bool
) -> tuple[Array, Array]:
    """Matrix (m, n) and offset (m,) from independent to all joints, both in the order of the document."""
    by_name = {joint.name: joint for joint in joints}
    matrix, offset = np.zeros((len(joints), len(independent))), np.zeros(len(joints))
    for row, joint in enumerate(joints):
        multiplier, shift, source, seen = 1.0, 0.0, joint, {joint.name}
        while source.mimic and not ignore_mimic:
            shift += multiplier * source.mimic.offset
            multiplier *= source.mimic.multiplier
            source = by_name[source.mimic.joint]
            if source.name in seen:
                raise ValueError(f"mimic joints follow each other in a circle: {', '.join(sorted(seen))}")
            seen.add(source.name)
        matrix[row, independent.index(source.name)] = multiplier
        offset[row] = shift
    return matrix, offset


def _limits(
    joints: Sequence[UrdfJoint], independent: Sequence[str], matrix: Array, offset: Array
) -> tuple[Array, Array, Array]:
    """Limits and velocity limits (n,) of the independent joints that keep every joint inside its own."""
    lower, upper = np.full(len(independent), -np.inf), np.full(len(independent), np.inf)
    velocity = np.full(len(independent), np.inf)
    for joint, row, shift in zip(joints, matrix, offset, strict=True):
        (column,) = np.flatnonzero(row) if row.any() else (None,)
        if column is None:  # a multiplier of zero: the joint does not move
            continue
        ends = sorted(((joint.lower - shift) / row[column], (joint.upper - shift) / row[column]))
        lower[column] = max(lower[column], ends[0])
        upper[column] = min(upper[column], ends[1])
        velocity[column] = min(velocity[column], joint.velocity / abs(row[column]))
    for name, low, high in zip(independent, lower, upper, strict=True):
        if low > high:
            raise ValueError(
                f"no position of joint {name!r} keeps the joints that follow it inside their limits"
            )
    return lower, upper, velocity
