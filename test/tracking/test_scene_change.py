"""What changes besides the tracked hands: pictures of rectangles in the place of hands."""

import numpy as np
import pytest
from helpers.detection import detection

from hand_pose_ros.tracking.observation import Observation
from hand_pose_ros.tracking.scene_change import SceneChange

TRACKED = Observation.of(detection((150.0, 200.0)))


def picture(*rectangles, brightness=0):
    """A noisy grey image with a bright rectangle (x, y, width, height) for each hand."""
    rng = np.random.default_rng(len(rectangles))
    image = rng.normal(100, 6, (480, 640, 3))
    for x, y, width, height in rectangles:
        image[y : y + height, x : x + width] = (120, 150, 190)
    return (image + brightness).clip(0, 255).astype(np.uint8)


def box(observation):
    x0, y0, x1, y1 = observation.detection.box_px.astype(int)
    return x0, y0, x1 - x0, y1 - y0


@pytest.fixture
def scene():
    result = SceneChange()
    result.searched(picture(box(TRACKED)), [TRACKED])
    return result


def test_a_hand_that_appears_is_noticed_until_the_image_is_searched(scene):
    new = picture(box(TRACKED), (450, 150, 100, 130))
    assert scene.changed(new, [TRACKED])
    scene.searched(new, [TRACKED])
    assert not scene.changed(new, [TRACKED])
    assert scene.changed(picture(box(TRACKED)), [TRACKED])  # it left again


def test_noise_exposure_and_small_things_do_not_count(scene):
    assert not scene.changed(picture(box(TRACKED), brightness=0), [TRACKED])
    assert not scene.changed(picture(box(TRACKED), brightness=40), [TRACKED])
    assert not scene.changed(picture(box(TRACKED), (450, 150, 20, 20)), [TRACKED])


def test_the_tracked_hand_and_its_forearm_may_move(scene):
    moved = Observation.of(detection((230.0, 230.0)))
    assert not scene.changed(picture(box(moved)), [moved])
    joints = TRACKED.points_px[:21]
    away = joints[0] - joints[[5, 9, 13, 17]].mean(0)
    middle = joints[0] + 120 * away / np.hypot(*away)
    x, y = (middle - 25).astype(int)
    forearm = (max(x, 0), max(y, 0), 50, 50)
    assert not scene.changed(picture(box(TRACKED), forearm), [TRACKED])


def test_before_the_first_search_and_for_another_size_everything_is_new(scene):
    assert SceneChange().changed(picture(), [TRACKED])
    assert scene.changed(np.zeros((640, 480, 3), np.uint8), [TRACKED])
    scene.reset()
    assert scene.changed(picture(box(TRACKED)), [TRACKED])


def test_a_hand_that_fills_the_image_leaves_nothing_to_notice():
    near = Observation.of(detection((320.0, 240.0), 900.0))
    scene = SceneChange()
    scene.searched(picture(), [near])
    assert not scene.changed(picture((450, 150, 100, 130)), [near])
