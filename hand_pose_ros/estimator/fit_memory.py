"""The last fit of each tracked hand is where the fit of the next frame starts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.kinematics.inverse import HandFit
from hand_pose_ros.pose import Detection

_Track = tuple[str, int | None]


class FitMemory:
    """Fits of one frame, by side and track id. Hands without a track id, and fits that failed, are not kept."""

    def __init__(self) -> None:
        self._fits: dict[_Track, HandFit] = {}

    def take(self) -> FitMemory:
        """Hand over the fits of the last frame; this memory is empty then."""
        taken = FitMemory()
        taken._fits, self._fits = self._fits, {}
        return taken

    def start(self, hands: Sequence[Detection]) -> HandFit | None:
        """The start of a fit of n hands, NaN for hands that are not known; None if none is."""
        return _joined_fits([self._fits.get(_track(one)) for one in hands])

    def keep(self, hands: Sequence[Detection], fit: HandFit) -> None:
        """Keep the fit of n hands."""
        self._fits = {
            _track(one): _one_fit(fit, row)
            for row, one in enumerate(hands)
            if one.track_id is not None and bool(fit.converged[row])
        }


def _track(one: Detection) -> _Track:
    return one.side, one.track_id


def _one_fit(fit: HandFit, row: int) -> HandFit:
    """The fit of one hand, without a leading dimension."""
    return HandFit(
        fit.angles[row],
        fit.proportions[row],
        fit.anchor_length_m[row],
        HandFrames(*(value[row] for value in fit.frames)),
        fit.residual_m[row],
        None if fit.residual_px is None else fit.residual_px[row],
        fit.converged[row],
    )


def _joined_fits(fits: Sequence[HandFit | None]) -> HandFit | None:
    """Stack fits of single hands as the start of a fit; None if none is known."""
    known = next((one for one in fits if one is not None), None)
    if known is None:
        return None
    whole = [known if one is None else one for one in fits]
    missing = torch.tensor([one is None for one in fits])

    def stacked(values: Sequence[Tensor]) -> Tensor:
        value = torch.stack(list(values))
        return value.masked_fill(missing.reshape(-1, *[1] * (value.ndim - 1)), torch.nan)

    return HandFit(
        stacked([one.angles for one in whole]),
        stacked([one.proportions for one in whole]),
        stacked([one.anchor_length_m for one in whole]),
        HandFrames(*(stacked(values) for values in zip(*(one.frames for one in whole), strict=True))),
        torch.full((len(fits), hand.NUM_JOINTS), torch.nan),
        None,
        torch.stack([one.converged for one in whole]) & ~missing,
    )
