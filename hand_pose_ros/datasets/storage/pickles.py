"""Reads pickles of numbers with an unpickler that admits NumPy arrays and Python's own types only.

A pickle names functions and calls them, so a hostile one runs any code. Here only the functions that NumPy
itself pickles arrays with, and types without side effects, can be named.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Final

import numpy as np

from hand_pose_ros.datasets.storage.files import MalformedFileError, require


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """Return the bytes that protocol 2 of Python 3 writes as text; any other codec is refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the codec {encoding!r} is not allowed")
    return text.encode("latin1")


# NumPy's own functions, whatever module its version keeps them in.
_FROM_NUMPY: Final = {
    ("multiarray", "_reconstruct"): np.zeros(1).__reduce__()[0],
    ("multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("numeric", "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0],
}
_ALLOWED: Final[dict[tuple[str, str], Any]] = {
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for (module, name), function in _FROM_NUMPY.items()
    },
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1_bytes,
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)
    },
}


class _NumbersOnly(pickle.Unpickler):
    """An unpickler of arrays and plain containers."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which a file of numbers has no use for")
        return _ALLOWED[module, name]


def read_pickle(path: Path) -> Any:
    """Read a pickle of arrays, numbers, texts and plain containers, of Python 2 or 3.

    Raises:
        MalformedFileError: the file is missing, damaged, or names anything but NumPy arrays and built-in
        types.
    """
    try:
        with require(path).open("rb") as file:
            return _NumbersOnly(file, encoding="latin1").load()
    except MalformedFileError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its opcodes run into
        raise MalformedFileError(path, f"not a pickle of numbers: {error}") from error
