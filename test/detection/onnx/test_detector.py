"""The generic ONNX detector, with small networks built here: what they find depends on the image."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from hand_pose_ros.detection.detector import DetectorUnavailableError
from hand_pose_ros.detection.onnx.detector import OnnxDetector, OnnxDetectorConfig
from hand_pose_ros.detection.onnx.letterbox import Letterbox

WIDTH, HEIGHT = 96, 64
HALF = 12.0  # of the boxes that the networks draw


def save(
    path, nodes, output_shape, constants=(), input_shape=(1, 3, HEIGHT, WIDTH), input_type=TensorProto.FLOAT
):
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("image", input_type, input_shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, output_shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return str(path)


def blob_network(path, row, is_yolo: bool):
    """A network that finds the one blob that is brighter in red than in blue.

    The map of red minus blue, clipped at 0, is taken for a distribution; its mean is the blob's centre (cx, cy)
    and its largest value the score p. The output is ``row`` applied to (cx, cy, p, 1): (values, 4), one detection.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32) + 0.5
    to_row = np.asarray(row, np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "red_minus_blue"], ["difference"]),
        helper.make_node("Relu", ["difference"], ["blob"]),
        helper.make_node("ReduceSum", ["blob", "axes"], ["mass"]),
        helper.make_node("Add", ["mass", "tiny"], ["safe_mass"]),
        helper.make_node("Mul", ["blob", "grid"], ["moments"]),
        helper.make_node("ReduceSum", ["moments", "axes"], ["sums"]),
        helper.make_node("Div", ["sums", "safe_mass"], ["centre"]),
        helper.make_node("ReduceMax", ["blob"], ["peak"], axes=[2, 3]),
        helper.make_node("Concat", ["centre", "peak", "one"], ["found"], axis=1),
        helper.make_node("Reshape", ["found", "column"], ["vector"]),
        helper.make_node("MatMul", ["to_row", "vector"], ["row"]),
        helper.make_node("Reshape", ["row", "shape"], ["output"]),
    ]
    shape = (1, len(to_row), 1) if is_yolo else (1, 1, len(to_row))
    constants = {
        "red_minus_blue": np.float32([1, 0, -1]).reshape(1, 3, 1, 1),
        "axes": np.int64([2, 3]),
        "tiny": np.float32(1e-9),
        "grid": np.stack((x, y))[None],
        "one": np.ones((1, 1, 1, 1), np.float32),
        "column": np.int64([1, 4, 1]),
        "to_row": to_row[None],
        "shape": np.int64(shape),
    }
    return save(path, nodes, shape, constants.items())


CX, CY, P, ONE = np.eye(4)
YOLO_BOX = [CX, CY, 2 * HALF * ONE, 2 * HALF * ONE]
END_TO_END_BOX = [CX - HALF * ONE, CY - HALF * ONE, CX + HALF * ONE, CY + HALF * ONE]


def constant_network(path, output) -> str:
    """A network that gives ``output`` for every image."""
    output = np.asarray(output, np.float32)
    nodes = [
        helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0),
        helper.make_node("Mul", ["least", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "found"], ["output"]),
    ]
    return save(path, nodes, output.shape, [("zero", np.float32(0)), ("found", output)])


def config(model_file: str, **options) -> OnnxDetectorConfig:
    return OnnxDetectorConfig(model_file, **{"input_size": (WIDTH, HEIGHT), "num_threads": 1, **options})


def blob_image(width: int, height: int, centre: tuple[float, float], sigma: float) -> np.ndarray:
    """A red blob on grey; pixels are centres."""
    y, x = np.mgrid[:height, :width]
    blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * sigma**2))
    image = np.full((height, width, 3), 100, np.uint8)
    image[..., 2] += (150 * blob + 0.5).astype(np.uint8)
    return image


@pytest.fixture(scope="module")
def yolo_file(tmp_path_factory):
    """Classes left (never) and right (the blob)."""
    return blob_network(tmp_path_factory.mktemp("yolo") / "blob.onnx", [*YOLO_BOX, 0 * ONE, P], is_yolo=True)


@given(
    image=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    input_size=st.tuples(st.integers(1, 1280), st.integers(1, 1280)),
    point=st.tuples(st.floats(-100, 3000), st.floats(-100, 3000)),
)
@settings(max_examples=100, deadline=None)
def test_letterbox_round_trip(image, input_size, point):
    letterbox = Letterbox(image, input_size)
    np.testing.assert_allclose(letterbox.to_image(letterbox.to_input(np.array(point))), point, atol=1e-6)
    corners = letterbox.to_input(np.array([(-0.5, -0.5), (image[0] - 0.5, image[1] - 0.5)]))
    assert (corners > -1e-6).all()
    assert (corners < np.array(input_size) + 1e-6).all()
    np.testing.assert_allclose(corners[1] - corners[0], letterbox.scaled_size)


@pytest.mark.parametrize("size", [(96, 64), (640, 480), (480, 640), (1280, 720), (50, 41), (24, 16)])
def test_a_blob_is_found_to_a_fraction_of_a_pixel_in_images_of_any_size(yolo_file, size):
    """A pixel of the input is up to 13 of the image; half of it, or of one of the image's, would be seen."""
    detector = OnnxDetector(config(yolo_file))
    scale = min(WIDTH / size[0], HEIGHT / size[1])
    centre = (0.4 * size[0], 0.55 * size[1])
    (found,) = detector.detect(blob_image(*size, centre, 0.1 * min(size)))
    assert found.side == "right"
    assert found.score == pytest.approx(150 / 255, abs=0.05)
    assert found.landmarks_px is None
    tolerance = 0.1 / scale  # a tenth of a pixel of the input
    np.testing.assert_allclose((found.box_px[:2] + found.box_px[2:]) / 2, centre, atol=tolerance)
    np.testing.assert_allclose(found.box_px[2:] - found.box_px[:2], 2 * HALF / scale, rtol=0.03)
    assert detector.detect(np.full((size[1], size[0], 3), 100, np.uint8)) == []


def test_both_layouts_and_landmarks(tmp_path):
    landmarks = [value for k in range(21) for value in (CX + k * ONE, CY - k * ONE, (k >= 5) * ONE)]
    files = {
        "yolo": blob_network(tmp_path / "y.onnx", [*YOLO_BOX, P, 0 * ONE, *landmarks], is_yolo=True),
        "end_to_end": blob_network(
            tmp_path / "e.onnx", [*END_TO_END_BOX, P, 0 * ONE, *landmarks], is_yolo=False
        ),
    }
    image = blob_image(192, 128, (90.0, 60.0), 9.0)
    results = {
        layout: OnnxDetector(config(path, layout=layout, landmark_values=3)).detect(image)[0]
        for layout, path in files.items()
    }
    for found in results.values():
        assert found.side == "left"
        assert np.isnan(found.landmarks_px[:5]).all()  # their score is 0
        np.testing.assert_allclose(found.landmark_scores, np.arange(21) >= 5, atol=0.05)
        steps = 2.0 * np.arange(5, 21)[:, None] * (1, -1)  # a pixel of the input is two of the image
        np.testing.assert_allclose(found.landmarks_px[5:], (90.0, 60.0) + steps, atol=0.15)
    np.testing.assert_allclose(results["yolo"].box_px, results["end_to_end"].box_px, atol=1e-3)


def test_mean_std_and_channel_order_reach_the_network(yolo_file):
    red = blob_image(WIDTH, HEIGHT, (48, 32), 8)
    assert OnnxDetector(config(yolo_file)).detect(red[:, :, ::-1]) == []  # a blue blob
    half = OnnxDetector(config(yolo_file, std=(1.25, 1.25, 1.25), score_threshold=0.1)).detect(red)
    whole = OnnxDetector(config(yolo_file)).detect(red)
    assert half[0].score == pytest.approx(whole[0].score / 1.25, abs=1e-4)
    shifted = OnnxDetector(config(yolo_file, mean=(0.1, 0, 0), score_threshold=0.1)).detect(red)
    assert shifted[0].score == pytest.approx(whole[0].score - 0.1, abs=1e-4)


def test_duplicates_thresholds_and_max_hands(tmp_path):
    box = np.array([10.0, 10, 30, 30])
    rows = [
        (*box, 0.9, 1), (*(box + 1), 0.8, 1), (*(box + 1), 0.7, 0),  # one hand, three times
        (*(box + [40, 0, 40, 0]), 0.6, 0), (*(box + [60, 20, 60, 20]), 0.5, 1),
        (*(box + [0, 30, 0, 30]), 0.3, 0),  # below the threshold
        (*(box[[2, 3, 0, 1]]), 0.95, 0), (np.nan, 0, 1, 1, 0.95, 0), (0, 0, 0, 0, 0, 0),  # no boxes
    ]  # fmt: skip
    path = constant_network(tmp_path / "c.onnx", [rows])
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    options = {"layout": "end_to_end", "max_hands": 10}
    found = OnnxDetector(config(path, **options)).detect(image)
    assert [(one.side, round(one.score, 3)) for one in found] == [
        ("right", 0.9),
        ("left", 0.6),
        ("right", 0.5),
    ]
    np.testing.assert_allclose(found[0].box_px, box - 0.5)  # corners of pixels -> centres
    assert len(OnnxDetector(config(path, **{**options, "max_hands": 2})).detect(image)) == 2
    assert OnnxDetector(config(path, **options, score_threshold=0.99)).detect(image) == []


def test_a_network_that_finds_nothing(tmp_path):
    path = constant_network(tmp_path / "c.onnx", np.zeros((1, 0, 6)))
    assert OnnxDetector(config(path, layout="end_to_end")).detect(np.zeros((9, 9, 3), np.uint8)) == []


def test_the_side_comes_from_the_configuration_or_a_rule_never_from_nowhere(tmp_path):
    path = constant_network(tmp_path / "c.onnx", [[(10, 10, 30, 30, 0.9, 0), (60, 10, 80, 30, 0.8, 0)]])
    image = np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8)
    options = {"layout": "end_to_end"}
    with pytest.raises(ValueError, match="a class without a side"):
        OnnxDetector(config(path, **options, class_sides=("none",)))
    all_right = OnnxDetector(config(path, **options, class_sides=("right",)))
    assert [one.side for one in all_right.detect(image)] == ["right", "right"]

    def first_person(box_px, landmarks_px, image_size):
        assert landmarks_px is None
        return "left" if box_px[[0, 2]].mean() < image_size[0] / 2 else "right"

    detector = OnnxDetector(config(path, **options, class_sides=("none",)), side_of=first_person)
    assert [one.side for one in detector.detect(image)] == ["left", "right"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"class_sides": ("right",)}, r"output must have shape \(1, 5, N\), got \(1, 6, 1\)"),
        ({"landmark_values": 3}, r"output must have shape \(1, 69, N\), got \(1, 6, 1\)"),
        ({"layout": "end_to_end"}, r"output must have shape \(1, N, 6\), got \(1, 6, 1\)"),
        ({"input_size": (64, 64)}, r"must take float32 of shape \(1, 3, 64, 64\).* shape \[1, 3, 64, 96\]"),
    ],
)
def test_a_network_that_is_not_what_the_configuration_says_is_refused(yolo_file, options, reason):
    with pytest.raises(ValueError, match=reason):
        OnnxDetector(config(yolo_file, **options))


def test_scores_without_a_sigmoid_and_unknown_classes_are_refused(tmp_path):
    logits = constant_network(tmp_path / "l.onnx", [[(10, 10, 30, 30, 4.2, 0)]])
    with pytest.raises(ValueError, match=r"scores must lie in \[0, 1\], got 4\.2"):
        OnnxDetector(config(logits, layout="end_to_end"))
    person = constant_network(tmp_path / "p.onnx", [[(10, 10, 30, 30, 0.9, 7)]])
    with pytest.raises(ValueError, match="class 7, class_sides names only 2"):
        OnnxDetector(config(person, layout="end_to_end"))


def test_files_that_are_no_model_are_refused(tmp_path, yolo_file):
    with pytest.raises(ValueError, match=r"no model file .*absent\.onnx"):
        OnnxDetector(config(str(tmp_path / "absent.onnx")))
    broken = tmp_path / "broken.onnx"
    content = Path(yolo_file).read_bytes()
    for wrong in (b"not a model", content[: len(content) // 2], b""):
        broken.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"cannot use .*broken\.onnx: .+"):
            OnnxDetector(config(str(broken)))


def test_networks_with_other_inputs_are_refused(tmp_path):
    cast = helper.make_node("Cast", ["image"], ["output"], to=TensorProto.FLOAT)
    shape = (1, 3, HEIGHT, WIDTH)
    path = save(tmp_path / "u.onnx", [cast], shape, input_type=TensorProto.UINT8)
    with pytest.raises(ValueError, match=r"must take float32 .*it takes tensor\(uint8\)"):
        OnnxDetector(config(path))


def test_free_input_dimensions_are_accepted(tmp_path):
    nodes = [
        helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0),
        helper.make_node("Add", ["least", "found"], ["output"]),
    ]
    found = np.float32([[(10, 10, 30, 30, 0.9, 1)]])
    path = save(tmp_path / "f.onnx", nodes, found.shape, [("found", found)], ("n", 3, "height", "width"))
    assert len(OnnxDetector(config(path, layout="end_to_end")).detect(np.zeros((5, 5, 3), np.uint8))) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "ssd"},
        {"class_sides": ()},
        {"class_sides": ("both",)},
        {"landmark_values": 1},
        {"score_threshold": 1.5},
        {"min_landmark_score": float("nan")},
        {"input_size": (0, 64)},
        {"mean": (0.0, 0.0)},
        {"std": (1.0, 0.0, 1.0)},
        {"max_hands": 0},
        {"num_threads": -1},
        {"device": "tpu"},
    ],
    ids=lambda options: str(next(iter(options))),
)
def test_options_out_of_range_are_refused(options):
    name = next(iter(options))
    with pytest.raises(ValueError, match="side" if name == "class_sides" else name):
        OnnxDetectorConfig("model.onnx", **options)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_image_is_refused(yolo_file, image):
    with pytest.raises(ValueError, match="the image must be uint8"):
        OnnxDetector(config(yolo_file)).detect(image)


def test_cuda_is_used_where_there_is_one_and_its_failure_is_told(monkeypatch, yolo_file, caplog):
    asked = []
    session = onnxruntime.InferenceSession

    def start(path, options, providers):
        asked.append(providers)
        return session(path, options, providers=["CPUExecutionProvider"])  # as onnxruntime does without cuDNN

    monkeypatch.setattr(onnxruntime, "InferenceSession", start)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DetectorUnavailableError, match="install onnxruntime-gpu"):
        OnnxDetector(config(yolo_file, device="cuda"))
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    with caplog.at_level(logging.WARNING):
        OnnxDetector(config(yolo_file))
    assert "CUDA could not be started" in caplog.text
    OnnxDetector(config(yolo_file, device="cpu"))
    assert asked == [both, ["CPUExecutionProvider"]]


def test_without_onnxruntime_the_error_says_what_to_install(monkeypatch, yolo_file):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DetectorUnavailableError, match="install onnxruntime"):
        OnnxDetector(config(yolo_file))


def test_a_closed_detector_says_so(yolo_file):
    detector = OnnxDetector(config(yolo_file))
    detector.reset()
    detector.close()
    detector.close()
    with pytest.raises(RuntimeError, match="the detector is closed"):
        detector.detect(np.zeros((4, 4, 3), np.uint8))
