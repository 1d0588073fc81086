"""The module decodes H.264, H.265 and similar video packets of recordings, with PyAV where it is installed."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

_TYPES: Final = (
    "foxglove_msgs/msg/CompressedVideo",
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
)
_CODECS: Final = {
    "h264": "h264",
    "libx264": "h264",
    "h264_nvenc": "h264",
    "h264_vaapi": "h264",
    "h265": "hevc",
    "hevc": "hevc",
    "libx265": "hevc",
    "hevc_nvenc": "hevc",
    "hevc_vaapi": "hevc",
    "vp9": "vp9",
    "av1": "libdav1d",
}


def is_encoded_video(message_type: str) -> bool:
    """Whether messages of this type hold packets of a video stream."""
    return message_type in _TYPES


class EncodedVideo:
    """A decoder of one stream; a frame may need packets before it."""

    def __init__(self) -> None:
        self._codec = ""
        self._decoder: Any = None

    def decode(self, message: Any) -> np.ndarray | None:
        """Pixels (H, W, 3) uint8 BGR of the newest frame that a packet completes; None before the first one.

        Args:
            message: a ``foxglove_msgs/CompressedVideo`` or an ``ffmpeg_image_transport_msgs/FFMPEGPacket``.

        Raises:
            ValueError: PyAV is not installed, the codec is not known, or the packet cannot be decoded.
        """
        named = str(getattr(message, "format", "") or getattr(message, "encoding", ""))
        codec = _CODECS.get(named.split(";")[0].strip().lower())
        if codec is None:
            raise ValueError(
                f"video packets of {named[:60]!r} are not supported; known are {', '.join(_CODECS)}"
            )
        try:
            import av  # pyright: ignore[reportMissingImports] - optional
        except ImportError as error:
            raise ValueError(f"video packets ({codec}) need PyAV: pip install av ({error})") from error
        try:
            if codec != self._codec:
                self._decoder, self._codec = av.CodecContext.create(codec, "r"), codec
            frames = self._decoder.decode(av.Packet(bytes(message.data)))
        except Exception as error:  # PyAV's errors have no other base in common
            raise ValueError(f"a {codec} packet cannot be decoded: {error}") from error
        return frames[-1].to_ndarray(format="bgr24") if frames else None
