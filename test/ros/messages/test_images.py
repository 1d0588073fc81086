"""Pixels of image messages: every encoding against cv_bridge or a slow version; malformed ones are refused."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from sensor_msgs.msg import CompressedImage, Image

from hand_pose_ros.ros.messages.images import compressed_to_bgr, image_to_bgr
from hand_pose_ros.video.image_data import SUPPORTED_ENCODINGS

HEIGHT, WIDTH = 12, 16
YUV = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")
PLANAR = ("nv12", "nv21", "yuv420", "i420")
HERE = tuple(one for one in SUPPORTED_ENCODINGS if one not in PLANAR)  # test/video has the others
GENERATOR = np.random.default_rng(0)
PIXELS = cv2.resize(GENERATOR.integers(0, 256, (3, 4, 3), np.uint8), (WIDTH, HEIGHT))

# Studio-swing YUV of cameras, from (b, g, r) in [0, 1].
BT601 = np.array([[24.966, 128.553, 65.481], [112.0, -74.203, -37.797], [-18.214, -93.786, 112.0]])


def message(data: np.ndarray, encoding: str, padding: int = 0, is_bigendian: bool = False) -> Image:
    rows = np.ascontiguousarray(data).reshape(HEIGHT, -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    result = Image(
        height=HEIGHT, width=WIDTH, encoding=encoding, step=padded.shape[1], is_bigendian=is_bigendian
    )
    result.data = array.array("B", padded.tobytes())
    return result


def encoded(encoding: str) -> np.ndarray:
    """The test pixels as a camera would send them."""
    grey = cv2.cvtColor(PIXELS, cv2.COLOR_BGR2GRAY)
    rows, columns = np.indices((HEIGHT, WIDTH))
    if (encoding.endswith("16") and encoding != "mono16") or encoding in ("16UC3", "16UC4"):
        eight = {"16UC3": "bgr8", "16UC4": "bgra8"}.get(encoding, encoding.replace("16", "8"))
        return encoded(eight).astype(np.uint16) * 256 + 99
    if encoding.startswith("bayer"):
        order = encoding.split("_")[1][:4]
        channel = np.array(["bgr".index(c) for c in order]).reshape(2, 2)[rows % 2, columns % 2]
        return np.take_along_axis(PIXELS, channel[..., None], axis=2)[..., 0]
    if encoding in YUV:
        y, u, v = np.moveaxis((PIXELS / 255 @ BT601.T + (16, 128, 128)).round().astype(np.uint8), 2, 0)
        chroma = np.where(columns % 2 == 0, u, np.roll(v, 1, axis=1))
        luma_first = encoding in ("yuv422_yuy2", "yuyv")
        return np.stack((y, chroma) if luma_first else (chroma, y), axis=2)
    alpha = np.full((HEIGHT, WIDTH, 1), 200, np.uint8)
    return {
        "bgr8": PIXELS,
        "8UC3": PIXELS,
        "rgb8": PIXELS[..., ::-1],
        "bgra8": np.concatenate((PIXELS, alpha), axis=2),
        "8UC4": np.concatenate((PIXELS, alpha), axis=2),
        "rgba8": np.concatenate((PIXELS[..., ::-1], alpha), axis=2),
        "mono8": grey,
        "8UC1": grey,
        "mono16": grey.astype(np.uint16) * 256 + 99,
        "16UC1": grey.astype(np.uint16) * 16 + 15,
    }[encoding]


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", HERE)
def test_every_encoding_gives_the_pixels(encoding, padding):
    result = image_to_bgr(message(encoded(encoding), encoding, padding))
    assert (result.dtype, result.shape) == (np.uint8, PIXELS.shape)
    expected = PIXELS
    if "mono" in encoding or encoding in ("8UC1", "16UC1"):
        expected = np.repeat(cv2.cvtColor(PIXELS, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    difference = np.abs(result - expected.astype(int))[2:-2, 2:-2]
    if encoding.startswith("bayer") or encoding in YUV:
        assert difference.mean() < 12  # colours are interpolated; a wrong order is off by more than 30
    else:
        assert not difference.any()


@pytest.mark.parametrize(
    "encoding",
    [e for e in HERE if e not in (*YUV, "bayer_grbg8") and not e.endswith(("UC1", "UC3", "UC4", "16"))],
)
def test_agrees_with_cv_bridge(encoding):
    cv_bridge = pytest.importorskip("cv_bridge")
    sent = message(encoded(encoding), encoding)
    expected = cv_bridge.CvBridge().imgmsg_to_cv2(sent, "bgr8")
    np.testing.assert_array_equal(image_to_bgr(sent), expected)


def test_big_endian_16_bit():
    data = encoded("mono16")
    sent = message(data.byteswap(), "mono16", is_bigendian=True)
    np.testing.assert_array_equal(image_to_bgr(sent), image_to_bgr(message(data, "mono16")))


def test_the_last_row_may_lack_its_padding():
    sent = message(PIXELS, "bgr8", padding=6)
    sent.data = sent.data[:-6]
    np.testing.assert_array_equal(image_to_bgr(sent), PIXELS)


def test_plain_bgr_is_not_copied():
    sent = message(PIXELS, "bgr8")
    assert np.shares_memory(image_to_bgr(sent), np.frombuffer(sent.data, np.uint8))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"encoding": "rgb99"}, "'rgb99' is not supported; supported are bgr8"),
        ({"encoding": ""}, "'' is not supported"),
        ({"width": 0}, "no pixels: its size is 0x12"),
        ({"height": 0}, "no pixels"),
        ({"step": 47}, "step is 47 bytes, but a row of 16 bgr8 pixels takes 48"),
        ({"step": 0}, "step is 0"),
        ({"step": 60}, "truncated: 576 bytes, but 12 rows of 60"),
        ({"height": 4320, "width": 7680}, "step is 48"),
        ({"height": 4320, "width": 7680, "step": 23040}, "truncated"),
        ({"data": array.array("B")}, "truncated: 0 bytes"),
        ({"encoding": "yuyv", "width": 15}, "even width"),
    ],
)
def test_malformed_images_are_refused_with_the_reason(changes, reason):
    sent = message(PIXELS, "bgr8")
    for name, value in changes.items():
        setattr(sent, name, value)
    with pytest.raises(ValueError, match=reason):
        image_to_bgr(sent)


def test_compressed_images():
    for extension in (".jpg", ".png"):
        data = cv2.imencode(extension, PIXELS)[1]
        result = compressed_to_bgr(CompressedImage(format=extension[1:], data=data.tobytes()))
        np.testing.assert_allclose(result, PIXELS, atol=40 if extension == ".jpg" else 0)
    for data in (b"", b"no image", cv2.imencode(".png", PIXELS)[1].tobytes()[:40]):
        with pytest.raises(ValueError, match="cannot be decoded"):
            compressed_to_bgr(CompressedImage(format="jpeg", data=data))
