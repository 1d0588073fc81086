"""Pickles for tests of their readers: of numbers, and hostile ones."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import suppress_warnings

LABELS = {
    0: {"xyz": np.arange(6.0).reshape(2, 3).T, "K": np.eye(3, dtype=np.float32), "name": "a", "none": None},
    "scalar": np.float64(2.5),
    "nested": [1, (2.0, True), {"x": b"bytes"}, {3, 4}],
    "names": np.array(["a", "bc"]),
    "big": np.arange(3, dtype=">i2"),
}
# NumPy 1.13 of Python 2 wrote this for numpy.array([1.5, -2.0]), with protocol 2.
PYTHON_2 = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85U\x01b\x87Rq\x02(K\x01K\x02"
    b"\x85cnumpy\ndtype\nq\x03U\x02f8K\x00K\x01\x87Rq\x04(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x10\x00\x00\x00\x00\x00\x00\xf8?\x00\x00\x00\x00\x00\x00\x00\xc0tb."
)


class _Call:
    """An object whose pickle calls a function with arguments when it is read."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call


def hostile(marker: Path) -> dict[str, object]:
    """Objects whose pickles name what a file of numbers has no use for; some would make ``marker``."""
    return {
        "shell": _Call(os.system, f"touch {marker}"),
        "eval": _Call(eval, f"open({str(marker)!r}, 'w')"),
        "exec": _Call(exec, f"open({str(marker)!r}, 'w')"),
        "open": _Call(open, str(marker), "w"),
        "getattr": _Call(getattr, "text", "upper"),
        "getattr of a list": _Call(getattr, [], "append"),
        "import": _Call(__import__, "os"),
        "numpy.load": _Call(np.load, str(marker)),
        "numpy.save": _Call(np.save, str(marker), 1),
        "another part of numpy": _Call(suppress_warnings),
        "a nested pickle": _Call(pickle.loads, pickle.dumps(1)),
        "much memory from bytes": _Call(bytes, 10**12),
        "much memory from an array": _Call(np.ndarray, (10**11,)),
        "objects": np.array([None, []], dtype=object),
    }
