"""PointCloud2 messages from points and back, with the interface of sensor_msgs_py.point_cloud2."""

from __future__ import annotations

import array
import sys
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_DTYPES = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}
_BIG_ENDIAN_MACHINE = sys.byteorder == "big"


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """The structured dtype of one point; a field of count > 1 becomes ``name_0``, ``name_1`` ..."""
    names, formats, offsets = [], [], []
    for index, field in enumerate(fields):
        scalar = _DTYPES[field.datatype]
        name = field.name or f"unnamed_field_{index}"
        assert field.count > 0, f"field {name!r} has a count of 0"
        for element in range(field.count):
            names.append(name if field.count == 1 else f"{name}_{element}")
            formats.append(scalar)
            offsets.append(field.offset + element * scalar.itemsize)
    assert len(set(names)) == len(names), f"duplicate field names in {names}"
    description = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        description["itemsize"] = point_step
    return np.dtype(description)


def create_cloud(
    header: Header, fields: Iterable[PointField], points: Iterable, point_step: int | None = None
) -> PointCloud2:
    """Build a message of one value per field and point.

    Args:
        points: rows of values in the order of ``fields``; a plain array (N, fields) or (W, H, fields), of
            fields of one datatype; or a structured array (N,) or (W, H) of exactly the fields' dtype.
        point_step: bytes per point; as small as the fields allow if None.
    """
    fields = list(fields)
    dtype = dtype_from_fields(fields, point_step)
    if not isinstance(points, np.ndarray):
        points = np.array([tuple(point) for point in points], dtype=dtype)
    elif points.dtype.names is None:
        assert len({field.datatype for field in fields}) <= 1, "a plain array needs fields of one datatype"
        points = unstructured_to_structured(points, dtype=dtype)
    else:
        assert points.dtype == dtype, f"the points' dtype is {points.dtype}, the fields' is {dtype}"
    assert points.ndim in (1, 2), f"points must be a list or a grid, got {points.ndim} dimensions"
    width, height = points.shape[0], points.shape[1] if points.ndim == 2 else 1
    cloud = PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=fields,
        is_bigendian=_BIG_ENDIAN_MACHINE,
        is_dense=False,
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * width,
    )
    cloud.data = array.array("B", points.tobytes())
    return cloud


def create_cloud_xyz32(header: Header, points: Iterable) -> PointCloud2:
    """Build a message of float32 x, y, z from points (N, 3)."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, points)


def read_points(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Read the points as a structured array (N,), or (width, height) if asked for and the cloud is a grid.

    Args:
        field_names: the fields to read; all if None.
        skip_nans: leave out points with a NaN in a field that is read, unless the cloud says that it is dense.
        uvs: indices of the points to read; all if None.
    """
    assert isinstance(cloud, PointCloud2), f"expected a PointCloud2, got {type(cloud).__name__}"
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    points = np.ndarray(shape=(cloud.width * cloud.height,), dtype=dtype, buffer=cloud.data)
    if field_names is not None:
        missing = [name for name in field_names if name not in dtype.names]
        assert not missing, f"the cloud has no fields {missing}, only {dtype.names}"
        points = points[list(field_names)]
    if bool(cloud.is_bigendian) != _BIG_ENDIAN_MACHINE:
        points = points.byteswap()
    if skip_nans and not cloud.is_dense:
        finite = np.ones(len(points), dtype=bool)
        for name in points.dtype.names:
            finite &= ~np.isnan(points[name])
        points = points[finite]
    if uvs is not None:
        points = points[uvs if isinstance(uvs, np.ndarray) else np.fromiter(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def read_points_numpy(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Read fields of one datatype as a plain array (N, fields); the arguments are those of :func:`read_points`."""
    datatypes = {field.datatype for field in cloud.fields if field_names is None or field.name in field_names}
    assert len(datatypes) <= 1, "the fields differ in datatype: use read_points()"
    return structured_to_unstructured(
        read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    )
