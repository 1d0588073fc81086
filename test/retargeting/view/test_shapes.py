"""Visual primitives of a URDF: sizes, places and colours; a link without any is drawn as its bones."""

from __future__ import annotations

import numpy as np
import pytest

from hand_pose_ros.rendering.crop.solids import solid
from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.view.shapes import LinkShape, link_shapes

URDF = """<robot name="two">
<material name="steel"><color rgba="0.1 0.2 0.3 1"/></material>
<link name="palm">{visual}</link>
<link name="tip"/>
<joint name="bend" type="revolute"><origin xyz="0 0.03 0.04"/><parent link="palm"/><child link="tip"/></joint>
</robot>"""


def shape_of(visual: str) -> LinkShape:
    (shape,) = link_shapes(URDF.format(visual=f"<visual>{visual}</visual>"))
    return shape


def surface(shape: LinkShape) -> np.ndarray:
    """Vertices of the shape in the link's frame."""
    vertices = solid(shape.kind, shape.half_size_m).vertices
    return vertices @ shape.T_link_shape[:3, :3].T + shape.T_link_shape[:3, 3]


def test_a_cylinder_lies_along_the_z_axis_of_its_origin():
    shape = shape_of(
        '<origin xyz="0.1 0 0" rpy="0 1.5707963267948966 0"/>'
        '<geometry><cylinder radius="0.01" length="0.06"/></geometry>'
        '<material name="steel"/>'
    )
    points = surface(shape)
    np.testing.assert_allclose(points.min(axis=0), (0.07, -0.01, -0.01), atol=2e-4)
    np.testing.assert_allclose(points.max(axis=0), (0.13, 0.01, 0.01), atol=2e-4)
    assert shape.rgb == (0.1, 0.2, 0.3)


def test_a_box_a_sphere_and_a_capsule_have_their_size():
    box = surface(shape_of('<geometry><box size="0.02 0.04 0.06"/></geometry>'))
    np.testing.assert_allclose(np.ptp(box, axis=0), (0.02, 0.04, 0.06), atol=1e-6)
    ball = surface(shape_of('<geometry><sphere radius="0.02"/></geometry>'))
    assert np.linalg.norm(ball, axis=1).max() == pytest.approx(0.02, abs=1e-4)
    capsule = surface(shape_of('<geometry><capsule radius="0.01" length="0.03"/></geometry>'))
    assert np.ptp(capsule[:, 2]) == pytest.approx(0.05, abs=1e-3)


def test_the_origin_turns_by_roll_then_pitch_then_yaw():
    shape = shape_of('<origin rpy="0.3 -0.5 1.1"/><geometry><box size="1 1 1"/></geometry>')

    def turn(axis: int, angle: float) -> np.ndarray:
        a, b = (axis + 1) % 3, (axis + 2) % 3
        matrix = np.eye(3)
        matrix[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        return matrix

    np.testing.assert_allclose(shape.T_link_shape[:3, :3], turn(2, 1.1) @ turn(1, -0.5) @ turn(0, 0.3))


@pytest.mark.parametrize(
    "visual", ["", '<visual><geometry><mesh filename="palm.stl"/></geometry></visual>'], ids=["none", "mesh"]
)
def test_a_link_without_primitives_is_drawn_to_its_child_joints(visual):
    (shape,) = link_shapes(URDF.format(visual=visual))
    assert (shape.link, shape.kind) == ("palm", "capsule")
    points = surface(shape)
    for end in ((0, 0, 0), (0, 0.03, 0.04)):
        assert 0.004 < np.linalg.norm(points - end, axis=1).min() < 0.0075


def test_a_size_that_is_no_number_is_named():
    with pytest.raises(ValueError, match=r"<sphere> of the URDF must have 1 numbers as radius, got 'big'"):
        shape_of('<geometry><sphere radius="big"/></geometry>')


def test_the_demonstration_hand_is_made_of_its_own_shapes():
    shapes = link_shapes(demo_hand_urdf())
    assert {shape.kind for shape in shapes} == {"box", "cylinder", "ball"}
    assert len({shape.rgb for shape in shapes}) == 2
