"""Interfaces of the smoothers, which change estimates and poses by what earlier frames or landmarks tell."""

from __future__ import annotations

from typing import Protocol

from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.pose import HandPose


class EstimateSmoother(Protocol):
    """Smooths a frame's estimates from earlier frames; ``track_id`` identifies the hands."""

    def smooth(self, estimate: EstimatedHands, time_s: float) -> EstimatedHands:
        """Return the smoothed hands of the same detections.

        ``time_s`` must not fall from call to call. Hands without a track id pass unchanged.
        """
        ...

    def reset(self) -> None:
        """Forget earlier frames."""
        ...


class PoseSmoother(Protocol):
    """Smooths poses placed in metres."""

    def smooth(self, hands: list[HandPose], time_s: float) -> list[HandPose]:
        """Return one pose for each of ``hands``, in the same order.

        ``time_s`` must not fall from call to call. Poses that are not valid or have no track id pass unchanged.
        """
        ...

    def reset(self) -> None:
        """Forget earlier frames."""
        ...


def moved_samples(samples: HandParameters, before: HandParameters, after: HandParameters) -> HandParameters:
    """Return samples (n, S, ...) that deviate from the hands ``after`` (n, ...) as they did from ``before``.

    Joints and rotations move; angles and proportions stay, so that a sample is no longer anatomically exact.
    """
    turn = (after.rotation @ before.rotation.mT)[:, None]
    return samples._replace(
        rotation=turn @ samples.rotation,
        joints=samples.joints + (after.joints - before.joints)[:, None],
        rotations=turn[:, :, None] @ samples.rotations,
    )
