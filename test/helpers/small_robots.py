"""Small robot hands for tests: two fingers of two joints, with whatever a URDF may lack, and their profiles."""

from __future__ import annotations

import textwrap
from pathlib import Path

JOINTS = ("thumb_base", "thumb_end", "index_base", "index_end")
_LIMIT = '<limit lower="-0.2" upper="1.5" effort="1" velocity="3"/>'


def small_urdf(**replaced: str) -> str:
    """A URDF of four joints; ``index_end='type="continuous"><axis xyz="0 1 0"/>'`` replaces what a joint says."""
    parts = ['<robot name="small"><link name="base"/>']
    for finger, y in (("thumb", 0.03), ("index", -0.03)):
        parent = "base"
        for name in (f"{finger}_base", f"{finger}_end"):
            own = replaced.get(name, f'type="revolute"><axis xyz="0 1 0"/>{_LIMIT}')
            x = 0.05 if parent == "base" else 0.045
            parts.append(
                f'<joint name="{name}" {own}<origin xyz="{x} {y if parent == "base" else 0} 0"/>'
                f'<parent link="{parent}"/><child link="{name}_link"/></joint><link name="{name}_link"/>'
            )
            parent = f"{name}_link"
        parts.append(
            f'<joint name="{finger}_tip" type="fixed"><origin xyz="0.04 0 0"/><parent link="{parent}"/>'
            f'<child link="{finger}_tip_link"/></joint><link name="{finger}_tip_link"/>'
        )
    return "".join(parts) + "</robot>"


def small_profile(command: str) -> str:
    """The YAML of a profile of this hand with the given section ``command``."""
    head = """\
    objective: vector
    axes: [distal, across, dorsal]
    vectors:
      - {task: thumb_tip_link, human_task: thumb_tip}
      - {task: index_tip_link, human_task: index_tip}
    command:
    """
    return textwrap.dedent(head) + textwrap.indent(textwrap.dedent(command), "  ")


def write_robot(folder: Path, command: str, **replaced: str) -> tuple[Path, Path]:
    """Profile and URDF as files."""
    profile, urdf = folder / "small.yaml", folder / "small.urdf"
    profile.write_text(small_profile(command))
    urdf.write_text(small_urdf(**replaced))
    return profile, urdf
