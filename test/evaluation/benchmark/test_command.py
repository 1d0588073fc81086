"""``hand_pose benchmark`` on miniature sets: reader, detector, estimator, protocol, table and files."""

import json
import zipfile

import cv2
import numpy as np
import pytest
from helpers.mano_files import write_npz
from helpers.miniature_sets import OPTIONS, WRITERS, write_ho3d, write_samples

from hand_pose_ros import hand
from hand_pose_ros.datasets.published import published_rows
from hand_pose_ros.datasets.registry import SETS, open_set
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.finders import FoundHand
from hand_pose_ros.evaluation.benchmark import command
from hand_pose_ros.evaluation.benchmark.command import main, worst_hands
from hand_pose_ros.pose import Detection

NAN_2D = np.full((hand.NUM_JOINTS, 2), np.nan)


class KnowingDetector:
    """Finds the hands that were drawn into an image, by the image's content."""

    def __init__(self, expected, images):
        self.found = {}
        for one, image in zip(expected, images, strict=True):
            self.found.setdefault(image.tobytes(), []).append(one.hand)
        self.closed = False

    def detect(self, image):
        return [self._detection(one) for one in self.found.get(image.tobytes(), [])]

    def reset(self):
        pass

    def close(self):
        self.closed = True

    def _detection(self, one):
        points = np.nan_to_num(one.points_px, nan=float(np.nanmean(one.points_px)))
        turned = one.joints_m - one.joints_m.mean(0)
        return Detection(one.side, 0.9, box_around(points, 0.1), points, turned)


@pytest.fixture
def with_detector(monkeypatch):
    def use(name, folder, expected, options=None):
        images = [one.image() for one in open_set(name, folder, options)]
        detector = KnowingDetector(expected, images)
        monkeypatch.setattr("hand_pose_ros.hand_images.detections.open_mediapipe", lambda: detector)
        return detector

    return use


def arguments(name):
    return [part for key, value in OPTIONS.get(name, {}).items() for part in ("--option", f"{key}={value}")]


@pytest.mark.parametrize("name", SETS)
def test_the_labels_have_no_error_on_any_set(tmp_path, capsys, name):
    WRITERS[name](tmp_path / "set")
    output = tmp_path / "output"
    # The labels of Dexter+Object are fingertips, whose bones the paper's protocol could not shorten.
    protocol = "as_estimated" if name == "dexter_object" else "paper"
    call = [name, str(tmp_path / "set"), "--estimator", "labels", "--protocol", protocol]
    code = main([*call, "--output", str(output), *arguments(name)])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    record = json.loads((output / "benchmark.json").read_text())
    figures = record["methods"]["labels"]["figures"]
    assert any(value is not None for value in figures.values())
    for figure, value in figures.items():
        if value is None:
            continue
        full = "AUC" in figure or "F@" in figure
        assert value == pytest.approx(1.0 if full else 0.0, abs=0.01 if full else 1e-3), figure
    assert record["methods"]["labels"]["found"] == 1
    published = published_rows(name, protocol)
    assert len(record["published"]) == len(published)
    for row in published:
        assert f"| {row.method} ({row.source}) |" in printed.out
    assert (output / "benchmark.md").read_text() == printed.out
    assert (output / "curves.png").is_file() == bool(record["methods"]["labels"]["curves"])
    assert cv2.imread(str(output / "worst.jpg")) is not None


def test_an_estimator_is_scored_beside_the_published_rows(tmp_path, capsys, with_detector):
    expected = WRITERS["rhd"](tmp_path / "rhd")
    detector = with_detector("rhd", tmp_path / "rhd", expected)
    output = tmp_path / "output"
    code = main(
        [
            "rhd",
            str(tmp_path / "rhd"),
            "--estimator",
            "ik",
            "--estimator",
            "mediapipe",
            "--output",
            str(output),
        ]
    )
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert detector.closed
    record = json.loads((output / "benchmark.json").read_text())
    for method in ("ik", "mediapipe"):
        row = record["methods"][method]
        assert row["found"] == 1
        # The detector gives the true shape and the true image points; only noise models stand between.
        assert row["figures"]["EPE mean mm"] < 10
        assert row["figures"]["2D EPE mean px"] < 5
        assert row["curves"]["AUC 0-50 mm"]["shares"][-1] == 1
    header, _, *rows = [line for line in printed.out.splitlines() if line.startswith("|")]
    assert header.startswith("| method | EPE mean mm |")
    assert [row.split(" |")[0] for row in rows[:2]] == ["| ik", "| mediapipe"]
    assert len(rows) == 2 + len(published_rows("rhd", "paper"))


def test_the_users_mano_has_the_vertices_of_the_labels(tmp_path, capsys, with_detector):
    expected = WRITERS["freihand"](tmp_path / "set")
    mano = write_npz(tmp_path / "MANO_RIGHT.npz")
    figures = []
    for given in ([], ["--mano", str(mano)]):
        with_detector("freihand", tmp_path / "set", expected)
        output = tmp_path / f"output{len(given)}"
        call = ["freihand", str(tmp_path / "set"), "--estimator", "ik", "--output", str(output), *given]
        assert main(call) == 0, capsys.readouterr().err
        figures.append(json.loads((output / "benchmark.json").read_text())["methods"]["ik"]["figures"])
    names = [name for name in figures[0] if "MPVPE" in name or "vertices" in name]
    assert names
    for name in names:
        assert figures[0][name] is None
        assert figures[1][name] is not None


def test_hands_are_looked_for_where_the_labels_are(tmp_path, capsys, monkeypatch):
    expected = WRITERS["rhd"](tmp_path / "rhd")
    asked = []

    class Finder:
        def near(self, frame, expected_px, side):
            asked.append((expected_px, side))
            other = "left" if side == "right" else "right"  # the side is known to be the label's
            one = next(truth.hand for truth in expected if truth.hand.side == side)
            turned = one.joints_m - one.joints_m.mean(0)
            box = box_around(one.points_px, 0.1)
            return FoundHand(Detection(other, 0.7, box, one.points_px, turned), 0.5)

    finders = "hand_pose_ros.detection.mediapipe.finders.create_finders"
    monkeypatch.setattr(finders, lambda: (None, Finder()))
    output = tmp_path / "output"
    call = ["rhd", str(tmp_path / "rhd"), "--estimator", "ik", "--look", "labels", "--output", str(output)]
    assert main(call) == 0
    assert [side for _, side in asked] == [truth.hand.side for truth in expected]
    for (points, _), truth in zip(asked, expected, strict=True):
        np.testing.assert_allclose(points, truth.hand.points_px, atol=1e-4)
    record = json.loads((output / "benchmark.json").read_text())
    assert record["methods"]["ik"]["found"] == 1
    assert record["methods"]["ik"]["figures"]["EPE mean mm"] < 10


def test_hands_that_are_not_detected_are_counted(tmp_path, capsys, with_detector):
    expected = write_samples(tmp_path / "set")
    detector = with_detector("samples", tmp_path / "set", expected)
    detector.found.pop(next(iter(detector.found)))
    output = tmp_path / "output"
    assert main(["samples", str(tmp_path / "set"), "--estimator", "ik", "--output", str(output)]) == 0
    record = json.loads((output / "benchmark.json").read_text())
    assert record["detected"] == record["methods"]["ik"]["found"] == 0.5
    curve = record["methods"]["ik"]["curves"]["PA AUC 0-50 mm"]["shares"]
    assert curve[-1] <= 0.5
    assert record["methods"]["ik"]["figures"]["PA-MPJPE mm"] < 10


@pytest.mark.parametrize(("name", "flip"), [("freihand", (1, 1, 1)), ("ho3d", (1, -1, -1))])
def test_a_submission_has_the_servers_order_and_axes(tmp_path, with_detector, name, flip):
    write = write_ho3d if name == "ho3d" else WRITERS[name]
    expected = write(tmp_path / "set")
    with_detector(name, tmp_path / "set", expected)
    path = tmp_path / "pred.zip"
    output = tmp_path / "output"
    code = main(
        [name, str(tmp_path / "set"), "--estimator", "ik", "--submission", str(path), "--output", str(output)]
    )
    assert code == 0
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["pred.json"]
        joints, vertices = json.loads(archive.read("pred.json"))
    assert len(joints) == len(vertices) == len(expected)
    for xyz, verts, truth in zip(joints, vertices, expected, strict=True):
        points, mesh = np.array(xyz) * flip, np.array(verts) * flip
        if name == "ho3d":
            points = points[[0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]]
        assert np.linalg.norm(points - truth.hand.joints_m, axis=1).mean() < 0.05
        assert points[0, 2] > 0.2
        relative = points - points[0] - (truth.hand.joints_m - truth.hand.joints_m[0])
        assert np.linalg.norm(relative, axis=1).mean() < 0.02
        assert np.abs(mesh.mean(0) - points.mean(0)).max() < 0.05


def test_submissions_need_a_server_and_all_hands(tmp_path, capsys):
    WRITERS["rhd"](tmp_path / "rhd")
    for name, more in (("rhd", []), ("freihand", ["--limit", "1"])):
        assert main([name, str(tmp_path / "rhd"), "--submission", str(tmp_path / "x.zip"), *more]) == 2
        assert "--submission needs all hands of a set with a server" in capsys.readouterr().err


def test_errors_are_one_line(tmp_path, capsys):
    assert main(["rhd", str(tmp_path / "nowhere"), "--estimator", "labels"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        f"hand_pose benchmark: {tmp_path / 'nowhere'}: missing; the folder of RHD must hold training/ and"
    )
    assert error.count("\n") == 1
    assert main(["rhd", str(tmp_path), "--protocol", "none"]) == 2
    assert "rhd has no protocol 'none', only paper, root" in capsys.readouterr().err


def test_malformed_images_are_fatal_or_skipped(tmp_path, capsys):
    write_samples(tmp_path)
    (tmp_path / "1.png").write_bytes(b"not an image")
    call = ["samples", str(tmp_path), "--estimator", "labels"]
    assert main(call) == 2
    assert "1.png: not an image" in capsys.readouterr().err
    assert main([*call, "--malformed", "skipped"]) == 0
    assert "1 hands" in capsys.readouterr().out


def test_every_and_limit(tmp_path, capsys):
    WRITERS["stb"](tmp_path)
    call = ["stb", str(tmp_path), "--estimator", "labels"]
    for more, count in (
        ([], 4),
        (["--every", "3"], 2),
        (["--limit", "1"], 1),
        (["--every", "3", "--limit", "1"], 1),
    ):
        assert main([*call, *more]) == 0
        assert f"**STB**, {count} hands" in capsys.readouterr().out


def test_the_worst_hands_come_first():
    assert worst_hands(np.array([0.1, np.inf, 0.3, np.nan, 0.2]), 2).tolist() == [2, 4]


def test_help_names_every_set_and_option(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"{name}: " in text for name in SETS)
    assert "annotator" in text
    assert set(command.METHODS) == {"diffusion", "heatmap", "ik", "mesh_diffusion", "mediapipe", "labels"}
