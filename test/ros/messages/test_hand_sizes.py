"""The message of the hands' sizes."""

import numpy as np
import pytest

from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.ros.messages.hand_sizes import COLUMNS, sizes_message, sizes_text


def test_each_track_has_a_row():
    message = sizes_message({3: HandSize(0.095, 0.002), None: None})
    rows = np.array(message.data).reshape([one.size for one in message.layout.dim])
    assert message.layout.dim[1].label == ",".join(COLUMNS)
    np.testing.assert_allclose(rows[0, :3], (3, 0.095, 0.002))
    assert rows[0, 3] == pytest.approx(HandSize(0.095, 0.0).length_m)
    np.testing.assert_allclose(rows[1, :3], (-1, 0.089, 0.065 * 0.089))
    assert not sizes_message({}).data


def test_the_text_tells_what_is_not_known():
    text = sizes_text({3: HandSize(0.095, 0.002), 4: None})
    assert "track 3: 0.0950 m, standard deviation 0.0020 m" in text
    assert "track 4: unknown" in text
