"""The ament_python package: modules, nodes, and the files that ROS 2 looks for in the package's share folder."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "hand_pose_ros"
HERE = Path(__file__).resolve().parent
# Installed under share/hand_pose_ros with the same layout as here, so that one look-up serves both.
SHARED_FOLDERS = ("launch", "config", "models")


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


setup(
    name=NAME,
    version="0.1.0",
    description="Metric 3D hand pose from one RGB camera, for ROS 2",
    maintainer="hand_pose_ros maintainers",
    maintainer_email="maintainers@hand-pose-ros.example",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={"": ["*.npz", "*.json", "*.yaml"]},
    data_files=shared_files(),
    zip_safe=False,
    # What runs the code is listed in package.xml (for rosdep) and requirements/ (for pip).
    install_requires=["setuptools"],
    # colcon runs pytest because of this line; with `tests_require` it would silently run nothing.
    extras_require={"test": ["pytest"]},
    entry_points={
        "console_scripts": [
            f"hand_pose = {NAME}.command:main",
            f"hand_estimator = {NAME}.ros.hand_estimator.process:main",
            f"video_player = {NAME}.ros.video_player.node:main",
        ],
    },
)
