"""Runs every method on a set of hand images: image only, keypoints only, both, and the detector itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.evaluation.images.estimates import (
    CropEstimates,
    Estimates,
    detector_estimates,
    estimate_from_images,
    estimate_from_keypoints,
    in_stored_view,
    jittered_views,
    keypoint_views,
    no_estimates,
    scattered,
)
from hand_pose_ros.hand_images.augmentation.view_jitter import ViewChange
from hand_pose_ros.hand_images.detections import ImageDetections
from hand_pose_ros.hand_images.shards import HandImages, ShardedHandImages
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion
from hand_pose_ros.networks.diffusion.network import HandDiffusion

IMAGE: Final = "image only"
SECOND: Final = "image only, second pass"
KEYPOINTS: Final = "keypoints only"
BOTH: Final = "both"
SHIPPED: Final = "keypoints only, weights without images"
DETECTOR: Final = "MediaPipe"
METHODS: Final = (IMAGE, SECOND, KEYPOINTS, BOTH, SHIPPED, DETECTOR)


class Networks(NamedTuple):
    """The networks that are measured.

    image: has an image encoder. keypoints: has none; None leaves it out. config: settings of sampling.
    """

    image: HandImageDiffusion
    keypoints: HandDiffusion | None
    config: DiffusionEstimatorConfig


def read_hands(folders: Sequence[Path], every: int = 1) -> HandImages:
    """Read every n-th hand of folders of shards.

    Raises:
        ValueError: a folder has no shard, or a broken one.
    """
    table = ShardedHandImages(folders)
    return table.rows(np.arange(0, len(table), every))


def estimate_set(
    networks: Networks,
    images: HandImages,
    detections: ImageDetections,
    methods: tuple[str, ...] = METHODS,
    fall_back: bool = True,
) -> dict[str, Estimates]:
    """Estimate n hands with each of ``METHODS``.

    Image only gets the true view with the jitter of training, which stands for the error of the last pose of a
    tracked hand; its second pass gets the view of its first estimate. Methods with keypoints get the view of the
    detector's keypoints, and give NaN without them; with ``fall_back``, both is then image only.
    """
    found = np.flatnonzero(detections.found)
    estimates: dict[str, Estimates] = {}
    if {IMAGE, SECOND, BOTH} & set(methods):
        views = jittered_views(images, Seed.IMAGE_VIEWS)
        first = estimate_from_images(networks.image, images, views, networks.config)
        estimates[IMAGE] = in_stored_view(images, first)
    if SECOND in methods:
        again = next_views(images, estimates[IMAGE], views)
        second = estimate_from_images(networks.image, images, again, networks.config)
        estimates[SECOND] = in_stored_view(images, second)

    def of_found(estimate: Callable[[HandImages, ImageDetections], CropEstimates]) -> Estimates:
        if not len(found):
            return no_estimates(images.count)
        some = images.rows(found)
        one = in_stored_view(some, estimate(some, detections.rows(found)))
        return scattered(one, found, images.count)

    config = networks.config
    if KEYPOINTS in methods:
        estimates[KEYPOINTS] = of_found(
            lambda some, seen: estimate_from_keypoints(networks.image, some, seen, config)
        )
    if BOTH in methods:
        both = of_found(
            lambda some, seen: estimate_from_keypoints(networks.image, some, seen, config, with_image=True)
        )
        without = ~detections.found
        if fall_back:
            for target, value in zip(both, estimates[IMAGE], strict=True):
                target[without] = value[without]
        estimates[BOTH] = both
    shipped = networks.keypoints
    if SHIPPED in methods and shipped is not None:
        estimates[SHIPPED] = of_found(lambda some, seen: estimate_from_keypoints(shipped, some, seen, config))
    if DETECTOR in methods:
        estimates[DETECTOR] = detector_estimates(detections)
    return {name: estimates[name] for name in methods if name in estimates}


def next_views(images: HandImages, estimates: Estimates, views: ViewChange) -> ViewChange:
    """Return the canonical views of the estimates, which cut the next frame's crops; ``views`` without one."""
    known = np.isfinite(estimates.projected).all((1, 2))
    chosen = np.where(known[:, None, None], estimates.projected, images.points)
    change = keypoint_views(images, chosen)
    return ViewChange(
        *(
            np.where(known.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(change, views, strict=True)
        )
    )
