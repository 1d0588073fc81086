"""The module reads calibration documents in the formats of the field's tools into the fields of a CameraInfo.

Known are the YAML files of camera_info_manager and camera_calibration, its ``ost.txt``, OpenCV's FileStorage, a
``ros2 topic echo`` of a CameraInfo, kalibr's camchain, ORB-SLAM's settings, and the same as JSON. Unknown keys are
reported, and those that look misspelt are refused: a lens must not lose its distortion silently.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from hand_pose_ros.camera.distortion import distortion_model_named
from hand_pose_ros.files.safe_yaml import parse_yaml

_DOCUMENT_MARK: Final = re.compile(r"^---[ \t]*(?:#[^\n]*)?$", re.MULTILINE)
_MOST_DEPTH: Final = 3  # of mappings around the calibration
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "width": ("image_width", "width", "img_width", "camera.width"),
    "height": ("image_height", "height", "img_height", "camera.height"),
    "size": ("resolution", "image_size", "image_resolution", "img_size"),
    "k": ("camera_matrix", "k", "intrinsics", "intrinsic", "intrinsic_matrix", "camera_intrinsics"),
    "d": (
        "distortion_coefficients",
        "d",
        "distortion_coeffs",
        "distortion",
        "dist_coeffs",
        "dist_coeff",
        "distcoeffs",
        "distortion_parameters",
    ),
    "model": ("distortion_model", "distortion_type"),
    "camera_model": ("camera_model", "camera.type", "camera_type", "model_type"),
    "fisheye": ("fisheye_model",),
    "name": ("camera_name", "name"),
    **{f"f{axis}": (f"f{axis}", f"camera.f{axis}", f"camera1.f{axis}") for axis in "xy"},
    **{f"c{axis}": (f"c{axis}", f"camera.c{axis}", f"camera1.c{axis}") for axis in "xy"},
    **{f"{one}": (one, f"camera.{one}", f"camera1.{one}") for one in ("k1", "k2", "k3", "k4", "p1", "p2")},
    "binning_x": ("binning_x",),
    "binning_y": ("binning_y",),
    "roi": ("roi",),
}
"""Field -> names of its key, in lower case with underscores."""
_IGNORED: Final = frozenset(
    (
        *("rectification_matrix", "projection_matrix", "r", "p", "header", "frame_id", "camera_id", "units"),
        *("rostopic", "cam_overlaps", "t_cn_cnm1", "t_cam_imu", "timeshift_cam_imu", "serial_number"),
        *("calibration_time", "calibration_date", "nframes", "frame_count", "flags", "extrinsic_parameters"),
        *("board_width", "board_height", "square_size", "image_points", "aspectratio", "fixaspectratio"),
        *("avg_reprojection_error", "per_view_reprojection_errors", "reprojection_error", "rms", "rms_error"),
        *("file.version", "camera.fps", "camera.rgb", "camera1.fps", "camera1.rgb"),
    )
)
_FIELD_OF_KEY: Final = {key: name for name, keys in _KEYS.items() for key in keys}
_WORDS_OF_DISTORTION: Final = ("dist", "coef")


_OPENCV_MATRIX: Final = "tag:yaml.org,2002:opencv-matrix"
_OTHER_PROJECTIONS: Final = frozenset(
    ("omni", "omnidirectional", "mei", "ds", "double_sphere", "eucm", "ucm", "scaramuzza", "ocam", "fov")
)
_ROI_KEYS: Final = ("x_offset", "y_offset", "width", "height")


@dataclass
class CalibrationDocument:
    """The fields of a calibration, as numbers and names; ``warnings`` say what the reader had to assume.

    k: nine numbers of the camera matrix, row by row. d: distortion coefficients in OpenCV's order.
    model: name of the distortion model as written; '' if there are no coefficients.
    roi: x and y offset, width and height of the region of interest, pixels.
    """

    width: int
    height: int
    k: list[float]
    d: list[float]
    model: str
    name: str = "camera"
    binning: tuple[int, int] = (0, 0)
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)
    warnings: list[str] = field(default_factory=list)


def parse_calibration(text: str) -> CalibrationDocument:
    """Read a calibration from the text of a file.

    Raises:
        ValueError: it has none of the known formats, or is not complete; the message says what is wrong.
    """
    text = text.lstrip("\ufeff")
    if re.search(r"^\s*\[image\]\s*$", text, re.MULTILINE):
        return _from_mapping(_ost(text))
    parts = [one for one in _DOCUMENT_MARK.split(_plain_yaml(text)) if one.strip()]
    if len(parts) > 1:
        raise ValueError("it holds several documents: keep the one of this camera")
    try:
        document = parse_yaml(parts[0] if parts else "", plain_tags=(_OPENCV_MATRIX,))
    except ValueError as error:
        raise ValueError(f"it is not valid YAML: {error}") from error
    return _from_mapping(_innermost(document))


def _plain_yaml(text: str) -> str:
    """Remove OpenCV's version line, which is not YAML's (``%YAML:1.0``)."""
    return re.sub(r"^%YAML:[^\n]*\n(---[^\n]*\n)?", "", text)


def _innermost(document: Any) -> dict[str, Any]:
    """Return the mapping with the calibration, which may lie inside others, such as a node's parameters."""
    for _ in range(_MOST_DEPTH):
        if not isinstance(document, dict):
            break
        inner = {key: value for key, value in document.items() if isinstance(value, dict)}
        if {_field(key) for key in document} & {"k", "fx", "width", "height", "size"} or not inner:
            return document
        cameras = [
            key for key, value in inner.items() if {_field(one) for one in value} & {"k", "fx", "width"}
        ]
        if len(cameras) > 1:
            raise ValueError(f"it holds several cameras ({_listed(cameras)}): keep the one that is meant")
        if len(cameras) == 1:
            name = {} if cameras[0] == "ros__parameters" else {"camera_name": str(cameras[0])}
            document = name | inner[cameras[0]]
        elif len(inner) == 1:
            document = next(iter(inner.values()))
        else:
            break
    if not isinstance(document, dict):
        raise ValueError("expected a mapping with image_width, image_height and camera_matrix")
    return document


def _field(key: Any) -> str:
    return _FIELD_OF_KEY.get(_normal(key), "")


def _normal(key: Any) -> str:
    return re.sub(r"[\s\-]+", "_", str(key).strip().lower())


def _ost(text: str) -> dict[str, Any]:
    """The fields of an ``ost.txt``: a section for the image and one for the camera, values under their names."""
    parser = configparser.RawConfigParser(allow_no_value=True, delimiters=("=",), comment_prefixes="#")
    try:
        parser.read_string(text)
    except (configparser.Error, AttributeError) as error:  # it stumbles over indented lines
        raise ValueError(f"it is not a valid ost.txt: {_short(error)}") from error
    others = [section for section in parser.sections() if section != "image"]
    if len(others) != 1:
        raise ValueError(f"an ost.txt has one camera, this has {len(others)}")
    known = {"width", "height", "camera matrix", "distortion", "rectification", "projection"}
    found: dict[str, Any] = {"camera_name": others[0]}
    for section in ("image", others[0]):
        current: str | None = None
        for line in parser[section]:
            if line in known:
                current = line
                found[line] = []
            elif current is not None:
                found[current] += _numbers(current, line)
    if "camera matrix" not in found or "width" not in found or "height" not in found:
        raise ValueError("an ost.txt has a width, a height and a camera matrix")
    return {
        "camera_name": others[0],
        "width": (found["width"] or [None])[0],
        "height": (found["height"] or [None])[0],
        "k": found["camera matrix"],
        "d": found.get("distortion", []),
        "distortion_model": "plumb_bob",
    }


def _from_mapping(document: Mapping[Any, Any]) -> CalibrationDocument:
    fields: dict[str, Any] = {}
    names: dict[str, Any] = {}
    unknown = []
    for key, value in document.items():
        name = _field(key)
        if name and name in fields:
            raise ValueError(f"{names[name]} and {key} say the same: keep one of them")
        if name:
            fields[name], names[name] = value, key
        elif _normal(key) not in _IGNORED:
            unknown.append(str(key))
    _refuse_misspelt(unknown, fields)
    warnings = [f"keys that are not known were ignored: {_listed(unknown)}"] if unknown else []
    if "size" in fields:
        fields["width"], fields["height"] = _numbers(str(names["size"]), fields["size"], 2)
    matrix = _camera_matrix(fields, names)
    missing = [
        label
        for name, label in (("width", "image_width"), ("height", "image_height"), ("k", "camera_matrix"))
        if (matrix is None if name == "k" else name not in fields)
    ]
    if missing or matrix is None:
        raise ValueError(f"it lacks {', '.join(missing)}")
    model, coefficients = _distortion(fields, names, warnings)
    roi = fields.get("roi") or {}
    if not isinstance(roi, dict):
        raise ValueError(f"roi must be a mapping, got {_short(roi)}")
    x_offset, y_offset, width, height = (_whole(key, roi.get(key, 0)) for key in _ROI_KEYS)
    return CalibrationDocument(
        width=_whole("image_width", fields["width"]),
        height=_whole("image_height", fields["height"]),
        k=matrix,
        d=coefficients,
        model=model,
        name=_short(fields.get("name", "camera")),
        binning=(
            _whole("binning_x", fields.get("binning_x", 0)),
            _whole("binning_y", fields.get("binning_y", 0)),
        ),
        roi=(x_offset, y_offset, width, height),
        warnings=warnings,
    )


def _refuse_misspelt(unknown: list[str], fields: Mapping[str, Any]) -> None:
    """Raise for a key that is close to one that is missing."""
    for key in unknown:
        normal = _normal(key)
        close = get_close_matches(normal, _FIELD_OF_KEY, 1, 0.8) if len(normal) > 3 else []
        field_name = _FIELD_OF_KEY[close[0]] if close else ""
        if not field_name and "d" not in fields and all(word in normal for word in _WORDS_OF_DISTORTION):
            field_name = "d"
        if field_name and field_name not in fields:
            raise ValueError(
                f"{_short(key)!r} is not a key of a calibration; did you mean {_KEYS[field_name][0]!r}?"
            )


def _camera_matrix(fields: Mapping[str, Any], names: Mapping[str, Any]) -> list[float] | None:
    if "k" in fields:
        values = _numbers(str(names["k"]), fields["k"])
        if len(values) == 4:  # kalibr
            values = [values[0], 0.0, values[2], 0.0, values[1], values[3], 0.0, 0.0, 1.0]
        for name, index in (("fx", 0), ("fy", 4), ("cx", 2), ("cy", 5)):
            if name in fields and len(values) == 9 and _number(name, fields[name]) != values[index]:
                raise ValueError(f"{names['k']} and {names[name]} contradict each other: keep one of them")
        return values
    if all(name in fields for name in ("fx", "fy", "cx", "cy")):
        fx, fy, cx, cy = (_number(name, fields[name]) for name in ("fx", "fy", "cx", "cy"))
        return [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    return None


def _distortion(
    fields: Mapping[str, Any], names: Mapping[str, Any], warnings: list[str]
) -> tuple[str, list[float]]:
    model = fields.get("model")
    camera_model = fields.get("camera_model")
    if isinstance(camera_model, str) and _normal(camera_model) in _OTHER_PROJECTIONS:
        raise ValueError(f"the projection {_short(camera_model)!r} is not supported: pinhole and fisheye are")
    if model is None and str(fields.get("fisheye", 0)).lower() not in ("0", "false", "none", ""):
        model = "fisheye"  # OpenCV's calibration sample
    if model is None and isinstance(camera_model, str) and distortion_model_named(camera_model):
        model = camera_model
    if "d" in fields:
        coefficients = _numbers(str(names["d"]), fields["d"])
        if _normal(names["d"]) not in ("distortion_coefficients", "d", "distortion", "distortion_coeffs"):
            warnings.append(f"{names['d']} was read as distortion_coefficients")
    elif "k1" in fields:
        fisheye = model is not None and distortion_model_named(str(model)) == "equidistant"
        order = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2", "k3")
        coefficients = [_number(name, fields.get(name, 0.0)) for name in order]
    elif model is not None and distortion_model_named(str(model)):
        raise ValueError(
            f"it names the distortion model {_short(model)!r} but has no distortion_coefficients; "
            "a lens without distortion has the model 'none', or coefficients that are zero"
        )
    else:
        warnings.append("it has no distortion_coefficients: the lens counts as free of distortion")
        return "", []
    if model is None:  # as in the files of camera_info_manager before 2010
        model = "plumb_bob"
    return str(model), coefficients


def _numbers(name: str, entry: Any, count: int | None = None) -> list[float]:
    """The numbers of a matrix: a mapping with ``data``, a list, a list of rows, or a text."""
    data = entry.get("data") if isinstance(entry, dict) else entry
    if isinstance(data, str):
        data = re.split(r"[,\s]+", data.strip(" \t\n[];"))
    try:
        values = [float(value) for value in _flat(data)]
    except (TypeError, ValueError):
        values = None
    if values is None or (count is not None and len(values) != count):
        wanted = "a list of numbers" if count is None else f"{count} numbers"
        raise ValueError(f"{name} must have {wanted} as its data, got {_short(entry)}")
    return values


def _flat(data: Any) -> Iterable[Any]:
    if not isinstance(data, list):
        raise TypeError
    for one in data:
        if isinstance(one, list):
            yield from one
        elif isinstance(one, bool):
            raise TypeError
        else:
            yield one


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a number, got {_short(value)}") from error


def _whole(name: str, value: Any) -> int:
    try:
        number = float(value)
        if isinstance(value, bool) or number != int(number):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be a whole number, got {_short(value)}") from error
    return int(number)


def _listed(keys: list[str]) -> str:
    return _short(", ".join(map(str, keys[:12])) + (", ..." if len(keys) > 12 else ""))


def _short(value: object) -> str:
    """A value as text of bounded length, without looking at all of a large one."""
    if isinstance(value, dict | list) and len(value) > 20:
        return f"{type(value).__name__} with {len(value)} entries"
    text = "".join(one if one.isprintable() else " " for one in str(value)[:201])
    return text if len(text) <= 200 else f"{text[:200]}..."
