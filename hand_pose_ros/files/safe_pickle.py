"""Reading of pickles of numbers from others, without calling what they name and within a bound on memory.

A pickle names functions and calls them, so a hostile one runs any code; and a few of its bytes can ask for any
amount of memory. Here only NumPy's arrays, scalars and types can be named, and every length is checked first.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.files.bounded_text import shortened
from hand_pose_ros.files.regular_file import read_file

MOST_BYTES: Final = 1 << 30
_PUTS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_ARRAY_MODULES: Final = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFER_MODULES: Final = ("numpy.core.numeric", "numpy._core.numeric")


class _ArrayClass:
    """Stands for the class of arrays: it can be named, and calling it gives nothing."""


class _Type:
    """Stands for a NumPy type of numbers, booleans or texts; the state in the file tells its byte order."""

    def __init__(self, name: str, *_: object) -> None:
        self.value = np.dtype(name)
        if self.value.hasobject or self.value.fields or self.value.subdtype:
            raise pickle.UnpicklingError(f"arrays of the type {name!r} are not read")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("arrays with fields are not read")
        self.value = self.value.newbyteorder(state[1])


class _Array:
    """Stands for an array, until the state in the file tells its content."""

    def __init__(self, *_: object) -> None:
        self.value = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_columns, content = state
        self.value = _filled(content, kind, shape, "F" if by_columns else "C")


def _filled(
    content: bytes | bytearray | str, kind: _Type, shape: tuple[int, ...], order: str = "C"
) -> NDArray[Any]:
    """An array from its bytes, which Python 2 wrote as a text."""
    data = content.encode("latin1") if isinstance(content, str) else bytes(content)
    if math.prod(shape) * kind.value.itemsize != len(data):
        raise pickle.UnpicklingError(f"an array {shape} of {kind.value} has {len(data)} bytes")
    return np.frombuffer(data, kind.value).reshape(shape, order="F" if order == "F" else "C").copy()


def _scalar(kind: _Type, content: bytes | str) -> Any:
    return _filled(content, kind, ())[()]


def _bytes(text: str, encoding: str) -> bytes:
    """The bytes that Python 3 writes as a text in old protocols."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the codec {encoding!r} is not allowed")
    return text.encode("latin1")


_ALLOWED: Final[dict[tuple[str, str], Any]] = {
    **{(module, "_reconstruct"): _Array for module in _ARRAY_MODULES},
    **{(module, "scalar"): _scalar for module in _ARRAY_MODULES},
    **{(module, "_frombuffer"): _filled for module in _BUFFER_MODULES},
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _bytes,
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (set, frozenset)},
}


class StandIn:
    """Stands for an object of another library. Nothing of that library runs; ``state`` is the content in the file.

    state: what the object stored, with arrays as arrays; None if it stored nothing.
    """

    def __init__(self, *_: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _reconstructed(kind: Any, base: Any, state: Any) -> StandIn:
    """Make a stand-in as ``copyreg._reconstructor`` makes an object; its content follows in the file."""
    if not (isinstance(kind, type) and issubclass(kind, StandIn)) or base is not _Object or state is not None:
        raise pickle.UnpicklingError("it makes an object that is not expected")
    return kind()


class _Object:
    """Stands for the base class of all objects, which old pickles name."""


_OF_STAND_INS: Final[dict[tuple[str, str], Any]] = {
    **{(module, "_reconstructor"): _reconstructed for module in ("copy_reg", "copyreg")},
    **{(module, "object"): _Object for module in ("builtins", "__builtin__")},
}


def _completed(value: Any, seen: dict[int, tuple[Any, Any]]) -> Any:
    """The value with arrays instead of what stands for them; ``seen`` keeps each part and its result."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, _Type | _ArrayClass):
        raise pickle.UnpicklingError("it holds a type, not numbers")
    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, list):
        seen[id(value)] = value, value
        value[:] = [_completed(one, seen) for one in value]
    elif isinstance(value, dict):
        seen[id(value)] = value, value
        value.update({key: _completed(one, seen) for key, one in value.items()})
    elif isinstance(value, tuple):
        completed = tuple(_completed(one, seen) for one in value)
        seen[id(value)] = value, completed
        return completed
    elif isinstance(value, StandIn):
        seen[id(value)] = value, value
        value.state = _completed(value.state, seen)
    return value


class _NumbersOnly(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, stand_ins: Mapping[tuple[str, str], type[StandIn]]) -> None:
        super().__init__(file, encoding="latin1")
        self._allowed = {**_ALLOWED, **(_OF_STAND_INS if stand_ins else {}), **stand_ins}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which a file of numbers has no use for")
        return self._allowed[module, name]


def read_pickle(
    path: str | Path,
    most_bytes: int = MOST_BYTES,
    stand_ins: Mapping[tuple[str, str], type[StandIn]] | None = None,
) -> Any:
    """The arrays, numbers, texts and plain containers in a pickle of Python 2 or 3.

    Args:
        stand_ins: module and name of further classes that the file may name -> what stands for their objects.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is not a regular file, too large, damaged, or names anything but NumPy's arrays.
    """
    content = read_file(path, most_bytes)
    try:
        for code, argument, _ in pickletools.genops(content):  # it checks every length against the content
            if code.name in _PUTS and isinstance(argument, int) and argument > len(content):
                raise pickle.UnpicklingError("it asks for more memory than it has bytes")
        return _completed(_NumbersOnly(io.BytesIO(content), stand_ins or {}).load(), {})
    except Exception as error:  # a damaged pickle raises whatever its opcodes run into
        raise ValueError(f"{path} is not a pickle of numbers: {shortened(str(error))}") from error
