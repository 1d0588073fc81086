"""Compressed images, 16-bit ranges and planar formats; test/ros/messages/test_images.py has the raw encodings."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hand_pose_ros.video.image_data import bgr_from_compressed, bgr_from_raw

HEIGHT, WIDTH = 24, 32
PIXELS = cv2.resize(np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8), (WIDTH, HEIGHT))
GREY = cv2.cvtColor(PIXELS, cv2.COLOR_BGR2GRAY)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def jpeg_with_orientation(image: np.ndarray) -> bytes:
    """A JPEG whose EXIF data say that it is to be turned by 90 degrees."""
    data = cv2.imencode(".jpg", image)[1].tobytes()
    exif = b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06" + bytes(
        6
    )
    return data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "bayer_rggb16", "rgb16"])
def test_any_number_of_bits_in_16_gives_the_same_brightness(bits, encoding):
    ramp = np.linspace(0, 2**bits - 1, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    channels = 3 if encoding == "rgb16" else 1
    data = np.repeat(ramp[..., None], channels, axis=2)
    found = bgr_from_raw(data.tobytes(), HEIGHT, WIDTH, 2 * channels * WIDTH, encoding)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found[2:-2, 2:-2, 1], ramp[2:-2, 2:-2] / (2**bits - 1) * 255, atol=8)


def test_a_few_saturated_pixels_do_not_darken_a_12_bit_image():
    ramp = np.full((240, 320), 3000, np.uint16)
    ramp[0, :3] = 65535
    found = bgr_from_raw(ramp.tobytes(), 240, 320, 640, "mono16")
    assert found[100, 100, 0] == 3000 >> 4
    assert found[0, 0, 0] == 255


@pytest.mark.parametrize("encoding", ["nv12", "nv21", "yuv420"])
def test_planar_formats(encoding):
    planes = cv2.cvtColor(PIXELS, cv2.COLOR_BGR2YUV_I420)
    luma, chroma = planes[:HEIGHT], planes[HEIGHT:].reshape(2, -1)
    if encoding != "yuv420":
        order = chroma if encoding == "nv12" else chroma[::-1]
        planes = np.concatenate((luma, order.T.reshape(HEIGHT // 2, WIDTH)))
    found = bgr_from_raw(planes.tobytes(), HEIGHT, WIDTH, WIDTH, encoding)
    assert np.abs(found.astype(int) - PIXELS).mean() < 12


@pytest.mark.parametrize(
    ("pixels", "image_format", "expected"),
    [
        (PIXELS, "png", PIXELS),
        (PIXELS, "bgr8; png compressed bgr8", PIXELS),
        (PIXELS, "rgb8; png compressed bgr8", PIXELS),
        (PIXELS[..., ::-1], "rgb8; png compressed rgb8", PIXELS),
        (GREY, "mono8; png compressed ", np.repeat(GREY[..., None], 3, axis=2)),
        (GREY.astype(np.uint16) * 257, "mono16; png compressed ", np.repeat(GREY[..., None], 3, axis=2)),
        (np.dstack((PIXELS, GREY)), "bgra8; png compressed bgra8", PIXELS),
    ],
)
def test_compressed_images(pixels, image_format, expected):
    np.testing.assert_array_equal(bgr_from_compressed(png(pixels), image_format), expected)


@pytest.mark.parametrize("scale", [1, 16])
def test_a_compressed_mosaic_is_turned_into_colours(scale):
    rows, columns = np.indices((HEIGHT, WIDTH))
    channel = np.array(["bgr".index(one) for one in "rggb"]).reshape(2, 2)[rows % 2, columns % 2]
    mosaic = np.take_along_axis(PIXELS, channel[..., None], axis=2)[..., 0].astype(np.uint16) * scale
    depth = 8 if scale == 1 else 16
    data = png(mosaic.astype(np.uint8) if scale == 1 else mosaic)
    found = bgr_from_compressed(data, f"bayer_rggb{depth}; png compressed ")
    assert np.abs(found[2:-2, 2:-2].astype(int) - PIXELS[2:-2, 2:-2]).mean() < 12


def test_the_orientation_in_a_compressed_image_is_ignored_as_image_transport_does():
    found = bgr_from_compressed(jpeg_with_orientation(PIXELS), "bgr8; jpeg compressed bgr8")
    assert found.shape == PIXELS.shape


@pytest.mark.parametrize(
    ("data", "image_format", "message"),
    [
        (b"", "jpeg", "of 0 bytes cannot be decoded"),
        (b"no image", "jpeg", "cannot be decoded"),
        (png(GREY), "16UC1; compressedDepth png", "holds depth, not colours"),
        (b"x", "j" * 10_000, "cannot be decoded"),
    ],
)
def test_unreadable_images_are_refused_with_the_reason(data, image_format, message):
    with pytest.raises(ValueError, match=message) as caught:
        bgr_from_compressed(data, image_format)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("encoding", ["32FC1", "16SC1", "64FC3"])
def test_measurements_are_named_as_such(encoding):
    with pytest.raises(ValueError, match="hold measurements such as depth, not colours"):
        bgr_from_raw(bytes(100), 2, 2, 16, encoding)


def test_planar_images_have_even_sides():
    with pytest.raises(ValueError, match="even width and height"):
        bgr_from_raw(bytes(100), 3, 4, 4, "nv12")
