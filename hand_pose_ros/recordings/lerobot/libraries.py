"""PyArrow and PyAV, which only the data sets need; where they are missing, the error says how to get them."""

from __future__ import annotations

from types import ModuleType

_MESSAGE = "a LeRobot data set needs PyArrow and PyAV: pip install 'hand_pose_ros[lerobot]' ({})"


def parquet() -> tuple[ModuleType, ModuleType]:
    """The modules pyarrow and pyarrow.parquet.

    Raises:
        ImportError: PyArrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet as pyarrow_parquet
    except ImportError as error:
        raise ImportError(_MESSAGE.format(error)) from error
    return pyarrow, pyarrow_parquet


def pyav() -> ModuleType:
    """The module av.

    Raises:
        ImportError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(_MESSAGE.format(error)) from error
    return av
