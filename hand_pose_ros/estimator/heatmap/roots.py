"""The forms that solve the root depth of a 2.5D pose, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from torch import Tensor

from hand_pose_ros.camera.root_forms import ChosenRoot, root_all_bones_first, root_closed_form_first


class RootForm(Protocol):
    """Solves scale-normalised 2.5D poses of known noise."""

    def __call__(
        self, points: Tensor, relative_depths: Tensor, sigma: Tensor, depth_sigma: Tensor
    ) -> ChosenRoot:
        """See :func:`~hand_pose_ros.camera.root_forms.root_all_bones_first`."""
        ...


def _closed_form_first(
    points: Tensor, relative_depths: Tensor, sigma: Tensor, depth_sigma: Tensor
) -> ChosenRoot:
    del sigma, depth_sigma  # one equation for one unknown: its noise changes nothing
    return root_closed_form_first(points, relative_depths)


ROOT_FORMS: Final[Mapping[str, RootForm]] = {
    "all_bones": root_all_bones_first,
    "closed_form": _closed_form_first,
}
