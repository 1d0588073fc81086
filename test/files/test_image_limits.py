"""The size in an image's header: that of OpenCV's decoder for every format, and refused where it is absurd."""

from __future__ import annotations

import struct
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.files.image_file import read_image
from hand_pose_ros.files.image_limits import check_image_size

WIDTH, HEIGHT = 53, 37
DECODED = ("jpg", "png", "webp", "bmp", "tif", "jp2", "pbm", "pgm", "ppm", "pam", "pfm", "hdr", "ras")
IMAGE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def encoded(extension: str) -> bytes:
    image = IMAGE.astype(np.float32) / 255 if extension in ("pfm", "hdr") else IMAGE
    return cv2.imencode(f".{extension}", image[..., 0] if extension in ("pbm", "pgm") else image)[1].tobytes()


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def codestream(width: int, height: int, channels: int = 3, tile: int = 4096) -> bytes:
    return struct.pack(
        ">HHHHIIIIIIIIH", 0xFF4F, 0xFF51, 47, 0, width, height, 0, 0, tile, tile, 0, 0, channels
    )


def attribute(name: bytes, kind: bytes, content: bytes) -> bytes:
    return name + b"\0" + kind + b"\0" + struct.pack("<I", len(content)) + content


def exr(width: int, height: int, more: bytes = b"", version: int = 2) -> bytes:
    window = attribute(b"dataWindow", b"box2i", struct.pack("<iiii", -3, 5, width - 4, height + 4))
    return struct.pack("<II", 20000630, version) + more + window + b"\0"


def tiff(order: str, *fields: tuple[int, int, int]) -> bytes:
    """A TIFF file's first folder: fields (tag, value, type)."""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(fields))
    for tag, value, kind in fields:
        start += struct.pack(order + "HHI", tag, kind, 1)
        start += struct.pack(order + ("H2x" if kind == 3 else "I"), value)
    return start


def big_tiff(width: int, height: int) -> bytes:
    fields = ((256, width), (257, height))
    content = b"".join(struct.pack("<HHQQ", tag, 16, 1, value) for tag, value in fields)
    return b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, len(fields)) + content


@pytest.mark.parametrize("extension", DECODED)
def test_the_size_is_the_decoders(extension):
    data = encoded(extension)
    size = check_image_size(data)
    assert size == (WIDTH, HEIGHT)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[1::-1] == size
    assert check_image_size(memoryview(np.frombuffer(data, np.uint8))) == size


HEADERS = {
    "GIF": b"GIF89a" + struct.pack("<HH", 70, 50) + bytes(9),
    "JPEG 2000 codestream": codestream(70, 50),
    "JPEG 2000 whose boxes tell another size": b"\0\0\0\x0cjP  \r\n\x87\n"
    + box(b"jp2h", box(b"ihdr", struct.pack(">IIHBBBB", 1, 1, 3, 7, 7, 0, 0)))
    + box(b"jp2c", codestream(70, 50)),
    "EXR": exr(70, 50),
    "big-endian TIFF": tiff(">", (256, 70, 3), (257, 50, 4)),
    "little-endian TIFF": tiff("<", (256, 70, 4), (257, 50, 3), (278, 2**32 - 1, 4)),
    "BigTIFF": big_tiff(70, 50),
    "bitmap from the top": b"BM" + bytes(12) + struct.pack("<Iii", 40, 70, -50),
    "OS/2 bitmap": b"BM" + bytes(12) + struct.pack("<IHH", 12, 70, 50),
    "extended WebP": b"RIFF\0\0\0\0WEBPVP8X"
    + bytes(8)
    + (69).to_bytes(3, "little")
    + (49).to_bytes(3, "little"),
    "lossy WebP": b"RIFF\0\0\0\0WEBPVP8 " + bytes(7) + b"\x9d\x01\x2a" + struct.pack("<HH", 70 | 0x4000, 50),
    "PNM with comments": b"P6 # 9999 9999\n# 5\n70#x\n50\n255\n",
    "JPEG with fill bytes and garbage": b"\xff\xd8\xff\xe0\0\2garbage\xff\0\xff\xff\xff\xc2\0\x0b\x08"
    + struct.pack(">HH", 50, 70),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_the_encoder_does_not_write(name):
    assert check_image_size(HEADERS[name]) == (70, 50)


BOMBS = {
    "JPEG": b"\xff\xd8\xff\xe1\0\x08\xff\xc0ab\xff\xd9\xff\xc0\0\x11\x08" + struct.pack(">HH", 65500, 65500),
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", 100_000, 100_000),
    "WebP": b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 2**28 - 1),
    "BMP": b"BM" + bytes(12) + struct.pack("<Iii", 40, 2**31 - 1, -(2**31)),
    "TIFF": tiff("<", (256, 100_000, 4), (257, 100_000, 4)),
    "GIF": b"GIF87a" + struct.pack("<HH", 65535, 65535),
    "JPEG 2000": codestream(2**31, 2**31, tile=2**31),
    "PNM": b"P5\n1000000 1000000\n255\n",
    "PFM": b"PF\n1000000 1000000\n-1\n",
    "PAM": b"P7\nWIDTH 1000000\nHEIGHT 1000000\nDEPTH 3\nMAXVAL 255\nENDHDR\n",
    "HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n",
    "EXR": exr(100_000, 100_000),
    "Sun raster": struct.pack(">III", 0x59A66A95, 2**31, 2**31),
}


@pytest.mark.parametrize("name", BOMBS)
def test_small_files_of_enormous_images_are_refused(name):
    with pytest.raises(ValueError, match=rf"the {name} image has \d+x\d+ pixels, at most 64000000"):
        check_image_size(BOMBS[name])


DAMAGED = {
    "nothing": (b"", "empty"),
    "an unknown format": (b"\0\0\0\x1cftypavif" + bytes(64), "not known"),
    "no pixels": (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + bytes(8), "0x0"),
    "a PNG without a header": (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIDAT" + bytes(8), "IHDR"),
    "a JPEG that only goes on": (b"\xff\xd8" + b"\xff\xfe\0\2" * 5000, "more than 4096 segments"),
    "a JPEG whose image comes first": (b"\xff\xd8\xff\xda\0\2", "before its size"),
    "a JPEG of garbage": (b"\xff\xd8\xff\xfe\0\2" + b"a" * 70000, "no marker"),
    "a segment without length": (b"\xff\xd8\xff\xfe\0\1", "no length"),
    "WebP without a start code": (b"RIFF\0\0\0\0WEBPVP8 " + bytes(20), "start code"),
    "lossless WebP without a signature": (b"RIFF\0\0\0\0WEBPVP8L" + bytes(20), "signature"),
    "WebP of another chunk": (b"RIFF\0\0\0\0WEBPEXIF" + bytes(20), "no image"),
    "a bitmap of another header": (b"BM" + bytes(12) + struct.pack("<Iii", 20, 5, 5), "unknown length"),
    "two widths": (tiff("<", (256, 5, 3), (256, 9, 3), (257, 5, 3)), "twice"),
    "a TIFF of large tiles": (tiff("<", (256, 5, 3), (257, 5, 3), (322, 60000, 3), (323, 60000, 3)), "tile"),
    "a TIFF of a large strip": (tiff("<", (256, 60000, 3), (257, 5, 3), (278, 60000, 3)), "strip"),
    "a TIFF of many channels": (tiff("<", (256, 5, 3), (257, 5, 3), (277, 60000, 3)), "channels"),
    "many JPEG 2000 tiles": (codestream(7000, 7000, tile=1), "tiles"),
    "many JPEG 2000 channels": (codestream(70, 50, channels=16384), "channels"),
    "a JPEG 2000 box without length": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(16), "no length"),
    "EXR of two windows": (exr(9, 9, exr(70, 50)[8:-1]), "twice"),
    "EXR of several parts": (exr(70, 50, version=0x1002), "several parts"),
    "EXR of large tiles": (exr(9, 9, attribute(b"tiles", b"tiledesc", struct.pack("<II", 60000, 60000))), "tiles"),
    "PAM of many channels": (b"P7\nWIDTH 5\nHEIGHT 5\nDEPTH 500\nMAXVAL 255\nENDHDR\n", "channels"),
    "PAM of two widths": (b"P7\nWIDTH 5\nWIDTH 5\nHEIGHT 5\nDEPTH 3\nMAXVAL 255\nENDHDR\n", "twice"),
    "HDR without a size": (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\nxyz\n", "missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_headers_are_refused_with_the_reason(name):
    data, reason = DAMAGED[name]
    with pytest.raises(ValueError, match=reason):
        check_image_size(data)


@pytest.mark.parametrize("data", [*map(encoded, DECODED), *HEADERS.values()])
def test_truncated_headers_are_refused_or_complete(data):
    whole = check_image_size(data)
    for length in range(min(len(data), 200)):
        with suppress(ValueError):
            size = check_image_size(data[:length])
            assert size == whole or data.startswith(b"P")  # of a text, the last digits may be cut


@settings(max_examples=300, deadline=None)
@given(start=st.sampled_from([encoded(one)[:64] for one in DECODED] + list(HEADERS.values())), data=st.data())
def test_hostile_headers_raise_one_exception_only(start, data):
    changed = bytearray(start) + data.draw(st.binary(max_size=64))
    for _ in range(data.draw(st.integers(0, 8))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    message = ""
    try:
        width, height = check_image_size(bytes(changed))
        assert 0 < width * height <= 64_000_000
    except ValueError as error:
        message = str(error)
    assert len(message) < 200


def test_files_are_checked_before_they_are_decoded(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(encoded("png"))
    np.testing.assert_array_equal(read_image(path), IMAGE)
    with pytest.raises(ValueError, match=r"image\.png.*at most 1000"):
        read_image(path, most_pixels=1000)
    path.write_bytes(encoded("png")[:100])
    with pytest.raises(ValueError, match=r"image\.png cannot be read as an image"):
        read_image(path)
