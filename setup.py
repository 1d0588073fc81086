"""The ament_python package: modules, nodes, and the files that ROS 2 looks for in the package's share folder."""

import re
from pathlib import Path

from setuptools import find_packages, setup

NAME = "hand_pose_ros"
HERE = Path(__file__).resolve().parent
# Installed under share/hand_pose_ros with the same layout as here, so that one look-up serves both.
SHARED_FOLDERS = ("launch", "config", "models")


# The ranges say what works; requirements/ has the two sets of versions that are tested. ROS 2 itself is in
# package.xml: without it everything outside hand_pose_ros/ros works.
REQUIRED = [
    "torch>=2.6,<3",
    "numpy>=1.26,<3",
    "scipy>=1.11,<2",
    "opencv-python-headless>=4.10,<6",
    "safetensors>=0.4,<1",
    "onnx>=1.16,<2",  # torch.onnx.export needs it
    "onnxruntime>=1.18,<2",
    # MediaPipe's hand networks are TFLite files (`hand_pose models` stores them).
    "tflite>=2.10,<3",
    'ai-edge-litert>=1.2,<3; platform_machine == "x86_64"',
    "PyYAML>=6,<7",
    "rosbags>=0.11.6,<0.12",
    # The renderer: the demo's clip and training images. There is no wheel for Linux on arm64.
    "embreex>=4.4,<5; sys_platform != 'linux' or platform_machine == 'x86_64'",
]
# Retargeting to a robot hand: Pinocchio's kinematics. 2.7 has wheels for Python up to 3.12 and numpy 1, later ones
# up to 3.14, all of them for x86-64 and arm64.
TELEOPERATION = ["pin>=2.7,<5"]
TRAINING = ["matplotlib>=3.6,<4", "scikit-image>=0.22,<1", "tqdm>=4.60,<5"]
# H.264 and H.265 packets in recordings; its wheels hold FFmpeg (LGPL).
VIDEO = ["av>=12"]
# Data sets for learning: Parquet tables (PyArrow, Apache-2.0), AV1 video (PyAV, BSD-3-Clause).
LEROBOT = ["pyarrow>=17,<27", "av>=15"]
# colcon runs pytest because `test` names it; with `tests_require` it would silently run nothing.
TEST = [
    "pytest>=7.4",
    "pytest-timeout>=2",
    "hypothesis>=6",
    "trimesh>=4",
    *TELEOPERATION,
    *LEROBOT,
    "packaging>=21",
    "flatbuffers>=2",
]
DEVELOPMENT = [
    *TRAINING,
    *TEST,
    "pytest-xdist>=3",
    "ruff>=0.6",
    "import-linter>=2.3",
    "basedpyright>=1.30",
    "setuptools<80",
]


def shared_files() -> list[tuple[str, list[str]]]:
    """(target folder, files) of everything installed outside the Python package."""
    files = {
        "share/ament_index/resource_index/packages": [f"resource/{NAME}"],
        f"share/{NAME}": ["package.xml"],
    }
    for folder in SHARED_FOLDERS:
        for path in sorted((HERE / folder).rglob("*")):
            if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.parts[-2:]):
                relative = path.relative_to(HERE)
                files.setdefault(f"share/{NAME}/{relative.parent}", []).append(str(relative))
    return list(files.items())


def version() -> str:
    """The package's ``__version__``, read without an import: a build has nothing of it on its path."""
    (found,) = re.findall(r'^__version__ = "(.+)"$', (HERE / NAME / "__init__.py").read_text(), re.MULTILINE)
    return found


setup(
    name=NAME,
    version=version(),
    description="Metric 3D hand pose from one RGB camera, for ROS 2",
    maintainer="hand_pose_ros maintainers",
    maintainer_email="maintainers@hand-pose-ros.example",
    license="Apache-2.0",
    python_requires=">=3.10,<3.15",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={"": ["*.npz", "*.json", "*.yaml"]},
    data_files=shared_files(),
    zip_safe=False,
    install_requires=REQUIRED,
    extras_require={
        "teleoperation": TELEOPERATION,
        "training": TRAINING,
        "video": VIDEO,
        "lerobot": LEROBOT,
        "test": TEST,
        "development": DEVELOPMENT,
    },
    entry_points={
        "console_scripts": [
            f"hand_pose = {NAME}.command:main",
            f"hand_estimator = {NAME}.ros.hand_estimator.process:main",
            f"video_player = {NAME}.ros.video_player.process:main",
            f"hand_teleop = {NAME}.ros.teleop.process:main",
            f"robot_simulator = {NAME}.ros.robot_simulator.process:main",
        ],
    },
)
