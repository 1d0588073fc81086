"""The module makes an annotated video and a contact sheet from a recording's overlays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from hand_pose_ros.ros.demo.recording import Recording

COLUMNS, ROWS = 3, 2
_TILE_WIDTH_PX: Final = 480
_FOURCC: Final = "mp4v"  # OpenCV's wheel has no H.264 encoder; VLC, mpv and ffmpeg play this one
_SHEET_QUALITY: Final = 88
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 1.0, 240.0


def write_images(
    recording: Recording,
    video: Path,
    sheet: Path,
    source_rate_hz: float | None,
    compose: Callable[[int, np.ndarray], np.ndarray] | None = None,
) -> int:
    """Write every processed frame into a video and some into a contact sheet; return the number of frames.

    The video lasts as long as its source: its rate is the source's times the processed share. Nothing is written
    if nothing was processed.

    Args:
        source_rate_hz: None for a live source, whose rate is that of the stamps.
        compose: makes the video's frame of a stamp and its overlay.

    Raises:
        OSError: a file cannot be written.
    """
    rate_hz = _video_rate_hz(recording, source_rate_hz)
    chosen = _chosen(recording)
    tiles: list[np.ndarray] = []
    writer: cv2.VideoWriter | None = None
    size = (0, 0)
    count = 0
    try:
        for stamp_ns, overlay in recording.overlays():
            image = overlay if compose is None else compose(stamp_ns, overlay)
            if writer is None:
                size = (image.shape[1], image.shape[0])
                fourcc = cv2.VideoWriter_fourcc(*_FOURCC)  # pyright: ignore[reportAttributeAccessIssue] - no stub
                writer = cv2.VideoWriter(str(video), fourcc, rate_hz, size)
                if not writer.isOpened():
                    raise OSError(f"cannot write {video}")
            # A folder may hold images of several sizes; a video has one.
            writer.write(image if (image.shape[1], image.shape[0]) == size else cv2.resize(image, size))
            count += 1
            if stamp_ns in chosen:
                tiles.append(_tile(image, size))
    finally:
        if writer is not None:
            writer.release()
    if tiles and not cv2.imwrite(
        str(sheet), contact_sheet(tiles), [cv2.IMWRITE_JPEG_QUALITY, _SHEET_QUALITY]
    ):
        raise OSError(f"cannot write {sheet}")
    return count


def contact_sheet(tiles: list[np.ndarray]) -> np.ndarray:
    """Tile images of one size, row by row in ``COLUMNS`` columns; the rest of the last row is black."""
    columns = min(COLUMNS, len(tiles))
    blank = np.zeros_like(tiles[0])
    padded = tiles + [blank] * (-len(tiles) % columns)
    return np.vstack([np.hstack(padded[k : k + columns]) for k in range(0, len(padded), columns)])


def _video_rate_hz(recording: Recording, source_rate_hz: float | None) -> float:
    shown = sorted(recording.shown_stamps_ns)
    if source_rate_hz is not None:
        rate_hz = source_rate_hz * len(shown) / max(1, len(recording.frame_stamps_ns))
    elif len(shown) > 1 and shown[-1] > shown[0]:
        rate_hz = (len(shown) - 1) / ((shown[-1] - shown[0]) * 1e-9)
    else:
        rate_hz = _LOWEST_RATE_HZ
    return float(np.clip(round(rate_hz, 2), _LOWEST_RATE_HZ, _HIGHEST_RATE_HZ))


def _chosen(recording: Recording) -> set[int]:
    """Stamps spread evenly over the frames with a hand, or over all if there is none."""
    with_hand = [stamp for stamp in recording.shown_stamps_ns if recording.found(stamp)]
    candidates = with_hand or recording.shown_stamps_ns
    parts = COLUMNS * ROWS
    return (
        {candidates[(2 * k + 1) * len(candidates) // (2 * parts)] for k in range(parts)}
        if candidates
        else set()
    )


def _tile(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    return cv2.resize(
        image, (_TILE_WIDTH_PX, round(_TILE_WIDTH_PX * height / width)), interpolation=cv2.INTER_AREA
    )
