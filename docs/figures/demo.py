"""Makes the animated images of the documentation from the video of ``make demo``.

make demo && tools/run python docs/figures/demo.py --video out/hands.mp4 --output docs/images/demo.webp
make demo ROBOT=demo_hand && \\
    tools/run python docs/figures/demo.py --every 3 --width 800 --quality 60 --output docs/images/robot_demo.webp
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def read_frames(video: Path, every: int, width: int) -> tuple[list[Image.Image], float]:
    """Every n-th frame, scaled to ``width`` pixels, and the seconds from one to the next.

    Raises:
        ValueError: the video cannot be read.
    """
    capture = cv2.VideoCapture(str(video))
    rate_hz = capture.get(cv2.CAP_PROP_FPS)
    frames = []
    index = 0
    while capture.grab():
        if index % every == 0:
            frames.append(_scaled(capture.retrieve()[1], width))
        index += 1
    capture.release()
    if not frames:
        raise ValueError(f"cannot read {video}")
    return frames, every / rate_hz


def _scaled(image_bgr: np.ndarray, width: int) -> Image.Image:
    height = round(image_bgr.shape[0] * width / image_bgr.shape[1])
    small = cv2.resize(image_bgr, (width, height), interpolation=cv2.INTER_AREA)
    return Image.fromarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))


def main(arguments: list[str] | None = None) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, default=Path("out/hands.mp4"))
    parser.add_argument("--output", type=Path, required=True, help="an animated .webp")
    parser.add_argument("--width", type=int, default=640, help="pixels (default: %(default)s)")
    parser.add_argument("--every", type=int, default=2, help="take every n-th frame (default: %(default)s)")
    parser.add_argument("--quality", type=int, default=70, help="of WebP (default: %(default)s)")
    options = parser.parse_args(arguments)
    (first, *others), seconds = read_frames(options.video, options.every, options.width)
    first.save(
        options.output,
        save_all=True,
        append_images=others,
        duration=round(1000 * seconds),
        loop=0,
        quality=options.quality,
        method=6,
    )


if __name__ == "__main__":
    main()
