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
    """A decoder of one stream; an image may need packets before it, and come some packets late."""

    def __init__(self) -> None:
        self._codec = ""
        self._decoder: Any = None
        self._times_s: dict[int, float] = {}
        self._packets = 0

    def decode(self, message: Any, time_s: float) -> list[tuple[float, np.ndarray]]:
        """The images that a packet completes, each with the time of its own packet: (H, W, 3) uint8 BGR.

        Args:
            message: a ``foxglove_msgs/CompressedVideo`` or an ``ffmpeg_image_transport_msgs/FFMPEGPacket``.
            time_s: of the packet.

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
            packet = av.Packet(bytes(message.data))
            packet.pts = packet.dts = self._packets
            self._times_s[self._packets] = time_s
            self._packets += 1
            frames = self._decoder.decode(packet)
        except Exception as error:  # PyAV's errors have no other base in common
            raise ValueError(f"a {codec} packet cannot be decoded: {error}") from error
        images = []
        for frame in frames:
            images.append((self._times_s.pop(frame.pts, time_s), frame.to_ndarray(format="bgr24")))
            self._times_s = {number: at for number, at in self._times_s.items() if number > frame.pts}
        return images
