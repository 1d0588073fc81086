"""Rendered training crops per second, beside the full renderer. ``python -m benchmarks.training_images``.

Times are processor time of this process on one thread, so that other work on the machine counts little. The full
renderer draws a 640x480 picture of one hand with ray tracing; the crops are 160 px, with objects, second hands and
backgrounds, and the time for sampling poses and for labels is in them. ``--rigged FOLDER`` adds rigged hands.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.hand_images.rendered.hands import render_hands
from hand_pose_ros.hand_images.rendered.scene import RenderSettings
from hand_pose_ros.hand_images.rendered.wardrobe import Wardrobe, hand_surfaces
from hand_pose_ros.rendering.background import BackgroundStock, room_background
from hand_pose_ros.rendering.renderer import render
from hand_pose_ros.rendering.views import random_hand

_CROPS, _PICTURES, _ROUNDS = 128, 6, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rigged", type=Path, metavar="FOLDER", help="folder of rigged glTF hands")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    camera = CameraModel.from_fov(640, 480, float(np.deg2rad(60)))
    background = room_background(640, 480, seed=Seed.ARBITRARY)
    draws = torch.Generator().manual_seed(Seed.ARBITRARY)
    hands = [random_hand(camera, draws) for _ in range(_PICTURES)]
    generator = np.random.default_rng(Seed.ARBITRARY)
    start = time.process_time()
    wardrobe = Wardrobe(hand_surfaces(options.rigged), generator)
    stock = BackgroundStock(generator, 96)
    print(f"stock for a run: {time.process_time() - start:.1f} s")

    plain = RenderSettings(grasped=0, in_front=0, behind=0, second_hand=0, sleeve=0, cast=0)
    full, crop, bare = [], [], []
    for number in range(_ROUNDS + 1):
        seed = np.random.SeedSequence((Seed.ARBITRARY, number))
        full.append(_seconds(lambda: [render([one], camera, background) for one in hands]) / _PICTURES)
        crop.append(
            _seconds(lambda s=seed: render_hands(_CROPS, wardrobe, stock, RenderSettings(), s)) / _CROPS
        )
        bare.append(_seconds(lambda s=seed: render_hands(_CROPS, wardrobe, stock, plain, s)) / _CROPS)
    # The first round fills caches.
    full, crop, bare = (float(np.median(times[1:])) for times in (full, crop, bare))
    print(f"full renderer, 640x480, one hand: {1e3 * full:.0f} ms")
    for name, seconds in (("training crop", crop), ("training crop, a bare hand alone", bare)):
        print(
            f"{name}: {1e3 * seconds:.1f} ms, {1 / seconds:.0f} per second and core, {full / seconds:.0f}x faster"
        )


def _seconds(function) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


if __name__ == "__main__":
    main()
