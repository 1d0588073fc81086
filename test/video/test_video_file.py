"""Video files are turned as their metadata say, at their own times; what cannot be decoded is told."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from helpers.mp4_files import set_codec, set_intervals, set_rotation, write_mp4

from hand_pose_ros.video.open import open_source

_TURN = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def numbered(count: int) -> list[np.ndarray]:
    """Images (48, 64, 3) that say their numbers by their grey levels, brighter in the upper left corner."""
    images = [np.full((48, 64, 3), 15 * index, np.uint8) for index in range(count)]
    for image in images:
        image[:16, :16] = 250
    return images


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_video_is_turned_as_a_player_shows_it(tmp_path, turn):
    path = write_mp4(tmp_path / "video.mp4", numbered(3))
    set_rotation(path, turn)
    source = open_source(str(path))
    image = source.read().image
    expected = cv2.rotate(numbered(1)[0], _TURN[turn])
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 8
    source.close()


def test_images_have_the_times_of_the_file(tmp_path):
    intervals = [0.04] * 6 + [0.16] * 6
    path = write_mp4(tmp_path / "video.mp4", numbered(12))
    set_intervals(path, intervals)
    expected = np.concatenate(([0], np.cumsum(intervals[:-1])))
    source = open_source(str(path))
    times = []
    while (frame := source.read()) is not None:
        times.append(frame.time_s)
    np.testing.assert_allclose(times, expected, atol=2e-3)
    for time_s in (0.7, 0.0, 0.1, 1.0):
        source.seek(time_s)
        found = source.read()
        index = int(np.searchsorted(expected, time_s - 2e-3))
        assert found.time_s == pytest.approx(expected[index], abs=2e-3)
        assert round(float(found.image[30:, 30:].mean()) / 15) == index
    source.seek(9.0)
    assert source.read() is None
    source.close()


def test_a_codec_that_opencv_lacks_is_named(tmp_path, capfd):
    path = write_mp4(tmp_path / "video.mp4", numbered(3))
    set_codec(path, b"av01")
    with pytest.raises(ValueError, match=r"cannot decode the video's codec \(AV1\).*ffmpeg -i video\.mp4"):
        open_source(str(path))
    assert len(capfd.readouterr().err.splitlines()) < 5  # FFmpeg is quiet


def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    """OpenCV ends the process on such a name."""
    path = write_mp4(tmp_path / "video.mp4", numbered(2))
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4")
    os.rename(path, name)
    with pytest.raises(ValueError, match="is not valid UTF-8"):
        open_source(name)


def test_a_single_image_is_a_source_of_one_frame_that_can_start_over(tmp_path):
    path = tmp_path / "photo.JPG"
    assert cv2.imwrite(str(path), numbered(1)[0])
    source = open_source(str(path))
    for _ in range(2):
        frame = source.read()
        assert (frame.image.shape, frame.time_s) == ((48, 64, 3), 0.0)
        assert source.read() is None
        source.seek(0.0)


def test_what_is_no_file_is_refused_at_once():
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        open_source("/dev/null")
