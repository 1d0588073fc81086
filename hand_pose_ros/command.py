"""The ``hand_pose`` command lists the tools of this package and runs one of them.

A tool's module is imported only when the tool runs, so the list needs neither PyTorch nor ROS.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Final

from hand_pose_ros import __version__

GROUPS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "use": {
        "demo": ("ros.demo.command", "play a rendered hand, a video, a webcam or a bag through the nodes"),
        "record": ("ros.recorder.command", "record hands, images and a robot into bags, for learning"),
        "models": ("detection.mediapipe.models_command", "store MediaPipe's hand networks on this machine"),
        "urdf": ("urdf", "write the hand as a URDF, of either side and any size"),
        "demo-hand": ("retargeting.demo_hand", "write the URDF of the demonstration robot hand"),
        "robot-check": ("retargeting.view.check", "show a robot hand with the vectors that it follows"),
        "export-onnx": ("networks.diffusion.onnx", "write the diffusion network as ONNX files"),
        "export-lerobot": ("recordings.lerobot.command", "make a LeRobot data set of recordings"),
    },
    "evaluate": {
        "evaluate": ("evaluation.accuracy.command", "errors on labelled photos and generated hands"),
        "benchmark": ("evaluation.benchmark.command", "errors on a public data set beside published ones"),
        "evaluate-detectors": (
            "evaluation.detection.command",
            "hands found and missed, beside MediaPipe's palm detector",
        ),
        "evaluate-images": ("evaluation.images.command", "what image features add to keypoints"),
        "evaluate-heatmaps": ("evaluation.heatmaps.command", "errors of 2.5D heatmap networks"),
        "evaluate-mesh": ("evaluation.meshes.command", "errors of meshes on renders, and of their joints"),
        "ablation": ("evaluation.images.ablation", "compare training runs that differ in one option"),
        "smoothness": ("evaluation.smoothness.command", "error, jitter and lag of hands in video"),
        "sampling-study": ("evaluation.accuracy.sampling_study", "error by number of samples and steps"),
    },
    "train": {
        "train": ("training.train", "train a network from a YAML file"),
        "calibrate": ("evaluation.calibration.command", "fit the scale of the stated uncertainty"),
    },
    "data": {
        "render": ("hand_images.rendered.command", "render training images of hands"),
        "scenes": ("hand_images.scenes.command", "render hands for the images of the hand detector"),
        "real-images": ("hand_images.real.command", "make training images of labelled photos"),
        "two-views": ("hand_images.two_views.command", "label the hand in two synchronised videos"),
        "detect-images": ("hand_images.detect_command", "add a detector's keypoints to training images"),
        "dataset": ("hand_images.labelled.command", "show, check or convert a public data set"),
        "limits": ("synthetic.poses.extract_limits", "angles and proportions of a set of poses"),
    },
    "maintain": {
        "prior-fit": ("synthetic.poses.fit_prior", "fit the pose sampler to sets of poses"),
        "noise-fit": ("synthetic.detector.fit_noise", "fit the noise model to a detector's errors"),
        "template": ("mesh.build_template", "build the mesh template from the skeleton"),
        "gallery": ("rendering.gallery", "draw poses by views, with the joints"),
        "parameters": ("ros.parameter_documents", "write the parameter tables of the documentation"),
    },
}
"""Group -> verb -> (module whose ``main`` runs it, what it does)."""
COMMANDS: Final = {verb: command for group in GROUPS.values() for verb, command in group.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool that the first argument names with the other arguments; returns its exit status."""
    verb, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if verb in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0
    if verb == "--version":
        sys.stdout.write(f"hand_pose_ros {__version__}\n")
        return 0
    if verb not in COMMANDS:
        likely = "".join(f"; did you mean {match!r}?" for match in get_close_matches(verb, COMMANDS, 1))
        sys.stderr.write(
            f"hand_pose: there is no command {verb!r}{likely or '; hand_pose --help lists them'}\n"
        )
        return 2
    try:
        module = import_module(f"hand_pose_ros.{COMMANDS[verb][0]}")
    except ModuleNotFoundError as error:
        if str(error.name).startswith("hand_pose_ros"):
            raise
        sys.stderr.write(f"hand_pose {verb}: the library {error.name!r} is not installed\n")
        return 1
    return module.main(rest) or 0


def usage() -> str:
    """The commands by group, with a line on each."""
    lines = [
        "usage: hand_pose COMMAND [--help] ...",
        "       hand_pose --version",
        "",
        "Metric 3D hands from one RGB camera.",
    ]
    width = max(map(len, COMMANDS))
    for group, commands in GROUPS.items():
        lines += ["", f"{group}:", *(f"  {verb:{width}}  {what}" for verb, (_, what) in commands.items())]
    return "\n".join(lines) + "\n"
