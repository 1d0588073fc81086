"""Miniature copies of the public data sets: their file names and formats, with hands of our own renderer.

The orders below are written out from the sets' own documents, not taken from the package's table.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import scipy.io
import yaml

from hand_pose_ros.camera.model import CameraModel
from helpers.rendered_hands import TrueHand, TrueImage, true_image

RHD_ORDER = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]
STB_ORDER = [0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]
INTERHAND_ORDER = [4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17, 0]
MANO_ORDER = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
TIPS = [4, 8, 12, 16, 20]
FREIHAND_CAMERA = CameraModel.pinhole(480.0, 482.0, 110.0, 114.0, 224, 224)
COLOUR_CAMERA = CameraModel.pinhole(614.6, 614.2, 320.3, 241.5, 640, 480)
OPENGL = np.array((1.0, -1.0, -1.0))
DEXYCB_SERIALS = ("836212060125", "932122062010")


class Expected(NamedTuple):
    """A hand that the reader must give, with its image (None where JPEG has changed it) and group."""

    hand: TrueHand
    image: np.ndarray | None
    camera: CameraModel
    group: str = ""


def write_rhd(folder: Path) -> list[Expected]:
    camera = CameraModel.pinhole(299.0, 299.0, 160.0, 160.0, 320, 320)
    annotations, expected = {}, []
    part = folder / "evaluation"
    for number, sides in enumerate((("left", "right"), ("right", "left"))):
        scene = true_image(camera, sides, 40 + number)
        of_side = {one.side: one for one in scene.hands}
        both = [of_side["left"], of_side["right"]]
        annotations[number] = {
            "xyz": np.concatenate([one.joints_m[RHD_ORDER] for one in both]).astype(np.float32),
            "uv_vis": np.concatenate(
                [np.column_stack((one.points_px, one.visible))[RHD_ORDER] for one in both]
            ).astype(np.float32),
            "K": camera.K.numpy().astype(np.float32),
        }
        mask = np.ones((320, 320), np.uint8)
        for one, first in zip(both, (2, 18), strict=True):
            mask[one.mask] = first + np.arange(one.mask.sum()) % 16
        # The right hand is the larger one in the first image, the left one in the second.
        smaller = both[number]
        mask[smaller.mask & (np.arange(320) % 2 == 0)] = 0
        _write_image(part / "color" / f"{number:05d}.png", scene.image)
        _write_image(part / "mask" / f"{number:05d}.png", mask)
        expected.append(Expected(both[1 - number], scene.image, camera))
    with (part / "anno_evaluation.pickle").open("wb") as file:
        pickle.dump(annotations, file, protocol=2)
    return expected


def write_stb(folder: Path) -> list[Expected]:
    camera = CameraModel.pinhole(822.79041, 822.79041, 318.47345, 250.31296, 640, 480)
    expected = []
    (folder / "labels").mkdir(parents=True)
    for first, sequence in enumerate(("B1Counting", "B1Random")):
        scenes = [true_image(camera, ("left",), 50 + 2 * first + number) for number in range(2)]
        labels = np.stack([1e3 * _with_palm(scene.hands[0].joints_m)[STB_ORDER].T for scene in scenes], -1)
        scipy.io.savemat(folder / "labels" / f"{sequence}_BB.mat", {"handPara": labels})
        for number, scene in enumerate(scenes):
            for side in ("left", "right"):
                _write_image(folder / sequence / f"BB_{side}_{number}.png", scene.image)
            expected.append(Expected(scene.hands[0], scene.image, camera))
    return expected


def write_interhand26m(folder: Path, part: str = "all") -> list[Expected]:
    camera = CameraModel.pinhole(1261.5, 1262.5, 166.8, 255.2, 334, 512)
    turn, _ = cv2.Rodrigues(np.array((0.3, -0.5, 0.2)))
    position = np.array((-415.2, 132.2, 59.6))
    images, annotations, joints, expected = [], [], {}, []
    for number, sides in enumerate((("right",), ("left",), ("right", "left"))):
        scene = true_image(camera, sides, 60 + number)
        world, valid = np.ones((42, 3)), np.zeros(42)
        for one in scene.hands:
            block = slice(0, 21) if one.side == "right" else slice(21, 42)
            world[block] = (1e3 * one.joints_m[INTERHAND_ORDER]) @ turn + position
            valid[block] = 1
        kind = sides[0] if len(sides) == 1 else "interacting"
        file = f"Capture3/0390_dh_touchROM/cam400026/image{number}.jpg"
        images.append(
            {"id": 7 + number, "file_name": file, "width": 334, "height": 512, "capture": 3, "subject": 2,
             "seq_name": "0390_dh_touchROM", "camera": "400026", "frame_idx": number}
        )  # fmt: skip
        annotations.append(
            {"id": 7 + number, "image_id": 7 + number, "bbox": [1, 2, 3, 4], "hand_type": kind,
             "joint_valid": valid[:, None].tolist(), "hand_type_valid": 1}
        )  # fmt: skip
        joints[str(number)] = {"world_coord": world.tolist(), "joint_valid": valid[:, None].tolist()}
        _write_image(folder / "images" / "test" / file, scene.image)
        group = "single" if len(sides) == 1 else "interacting"
        expected += [Expected(one, None, camera, group) for one in scene.hands]
    cameras = {
        "campos": {"400026": position.tolist()},
        "camrot": {"400026": turn.tolist()},
        "focal": {"400026": [camera.fx, camera.fy]},
        "princpt": {"400026": [camera.cx, camera.cy]},
    }
    start = folder / "annotations" / part / "InterHand2.6M_test_"
    _write_json(Path(f"{start}data.json"), {"images": images, "annotations": annotations})
    _write_json(Path(f"{start}camera.json"), {"3": cameras})
    _write_json(Path(f"{start}joint_3d.json"), {"3": joints})
    return expected


def write_freihand(folder: Path) -> list[Expected]:
    scenes = _single(FREIHAND_CAMERA, "right", 70)
    matrix = FREIHAND_CAMERA.K.tolist()
    for split, versions in (("evaluation", 1), ("training", 4)):
        _write_json(folder / f"{split}_K.json", [matrix] * len(scenes))
        _write_json(folder / f"{split}_xyz.json", [scene.hands[0].joints_m.tolist() for scene in scenes])
        _write_json(folder / f"{split}_verts.json", [_mano_like(scene.hands[0]).tolist() for scene in scenes])
        for version in range(versions):
            for number, scene in enumerate(scenes):
                name = f"{number + version * len(scenes):08d}.jpg"
                _write_image(folder / split / "rgb" / name, scene.image)
    for number, scene in enumerate(scenes):
        mask = 255 * scene.hands[0].mask.astype(np.uint8)
        _write_image(folder / "training" / "mask" / f"{number:08d}.jpg", mask)
    return [Expected(scene.hands[0], None, FREIHAND_CAMERA) for scene in scenes]


def write_ho3d(folder: Path, suffix: str = "png", truth: bool = False) -> list[Expected]:
    scenes = _single(COLOUR_CAMERA, "right", 80)
    for split in ("train", "evaluation"):
        lines = [f"ABF10/{number:04d}" for number in range(len(scenes))]
        (folder / split).mkdir(parents=True)
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
        for number, scene in enumerate(scenes):
            joints = (scene.hands[0].joints_m * OPENGL)[MANO_ORDER]
            labels = {
                "camMat": scene.camera.K.numpy(),
                "objName": "021_bleach_cleanser",
                "handPose": np.zeros(48),
            }
            if split == "train":
                labels["handJoints3D"] = joints
            else:
                low, high = scene.hands[0].points_px.min(0), scene.hands[0].points_px.max(0)
                labels |= {"handJoints3D": joints[0], "handBoundingBox": [*low, *high]}
            path = folder / split / "ABF10" / "meta" / f"{number:04d}.pkl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps(labels, protocol=2))
            _write_image(folder / split / "ABF10" / "rgb" / f"{number:04d}.{suffix}", scene.image)
    if truth:
        hands = [scene.hands[0] for scene in scenes]
        joints = [(one.joints_m * OPENGL)[MANO_ORDER].tolist() for one in hands]
        _write_json(folder / "evaluation_xyz.json", joints)
        _write_json(folder / "evaluation_verts.json", [(_mano_like(one) * OPENGL).tolist() for one in hands])
    exact = suffix == "png"
    return [Expected(scene.hands[0], scene.image if exact else None, scene.camera) for scene in scenes]


def write_dexycb(folder: Path) -> list[Expected]:
    """Two sequences of a subject, two cameras, two frames; the second frame of one camera shows no hand."""
    expected = []
    for serial in DEXYCB_SERIALS:
        intrinsics = {"fx": COLOUR_CAMERA.fx, "fy": COLOUR_CAMERA.fy, "ppx": COLOUR_CAMERA.cx}
        colour = {**intrinsics, "ppy": COLOUR_CAMERA.cy}
        path = folder / "calibration" / "intrinsics" / f"{serial}_640x480.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({"color": colour, "depth": colour}))
    for first, side in enumerate(("right", "left")):
        sequence = folder / "20200709-subject-01" / f"20200709_14174{first}"
        sequence.mkdir(parents=True)
        meta = {"serials": list(DEXYCB_SERIALS), "num_frames": 2, "mano_sides": [side], "mano_calib": ["x"]}
        (sequence / "meta.yml").write_text(
            yaml.safe_dump(meta) + "extrinsics: !!python/tuple\n- 1.0\n- 2.0\n"
        )
        for camera, serial in enumerate(DEXYCB_SERIALS):
            for frame in range(2):
                scene = true_image(COLOUR_CAMERA, (side,), 90 + 4 * first + 2 * camera + frame)
                one, hidden = scene.hands[0], camera == 1 and frame == 1
                (sequence / serial).mkdir(exist_ok=True)
                np.savez(
                    sequence / serial / f"labels_{frame:06d}.npz",
                    seg=255 * one.mask.astype(np.uint8),
                    joint_3d=np.full((1, 21, 3), -1.0) if hidden else one.joints_m[None].astype(np.float32),
                    joint_2d=np.full((1, 21, 2), -1.0) if hidden else one.points_px[None].astype(np.float32),
                    pose_m=np.zeros((1, 51), np.float32),
                )
                _write_image(sequence / serial / f"color_{frame:06d}.jpg", scene.image)
                if not hidden:
                    expected.append(Expected(one, None, COLOUR_CAMERA))
    return expected


def write_dexter_object(folder: Path) -> list[Expected]:
    camera = CameraModel.pinhole(587.45209, 600.67456, 325.0, 249.0, 640, 480)
    rotation = np.array(((0.9999, 0.0034, 0.0161), (-0.0033, 1.0000, -0.0079), (-0.0162, 0.0079, 0.9998)))
    shift = np.array((19.0473, -1.8514, -4.7501))
    flip = np.array((-1.0, -1.0, 1.0))

    def line(tips: np.ndarray) -> np.ndarray:
        return np.linalg.solve(rotation, (1e3 * tips - shift).T).T * flip

    names = ("Grasp1", "Pinch")
    files = {name: folder / "data" / name / "annotations" / f"my_{name}3D.txt" for name in names}
    return _write_tips(folder, camera, files, line, "0, 0, 32001", 100)


def write_ego_dexter(folder: Path) -> list[Expected]:
    camera = CameraModel.pinhole(617.173, 617.173, 315.453, 242.259, 640, 480)
    rotation = np.array(
        ((1.0, 0.00090442, -0.0074), (-0.00071933, 0.9997, 0.0248), (0.0075, -0.0248, 0.9997))
    )
    shift = np.array((20.2365, 1.2846, 5.7360))
    files = {name: folder / "data" / name / "my_annotation.txt_3D.txt" for name in ("Desk", "Kitchen")}
    inverse = np.linalg.inv(rotation)
    return _write_tips(folder, camera, files, lambda tips: (1e3 * tips - shift) @ inverse.T, "0, 0, 0", 110)


def write_hand_labels(folder: Path) -> list[Expected]:
    expected = []
    for number, side in enumerate(("left", "right")):
        scene = true_image(COLOUR_CAMERA, (side,), 120 + number)
        one = scene.hands[0]
        points = np.column_stack((one.points_px, np.ones(21)))
        if number:
            points[7] = 0
            one = one.__class__(
                **{**vars(one), "points_px": np.where(points[:, 2:] > 0, one.points_px, np.nan)}
            )
        entry = {
            "hand_pts": points.tolist(),
            "is_left": float(side == "left"),
            "hand_box_center": scene.hands[0].points_px.mean(0).tolist(),
            "head_size": 100.0 + 20 * number,
        }
        name = f"{number:03d}_{side}"
        _write_json(folder / "manual_test" / f"{name}.json", entry)
        _write_image(folder / "manual_test" / f"{name}.jpg", scene.image)
        expected.append(Expected(one, None, scene.camera))
    return expected


def write_coco(folder: Path) -> list[Expected]:
    scene = true_image(COLOUR_CAMERA, ("left", "right"), 130)
    kinds: dict = {"id": 5, "image_id": 9, "keypoints": [0] * 51}
    for one in scene.hands:
        rows = np.column_stack((one.points_px, np.ones(21)))
        kinds |= {f"{one.side}hand_kpts": rows.ravel().tolist(), f"{one.side}hand_valid": True}
    nobody = {"id": 6, "image_id": 9, "keypoints": [0] * 51}
    for side in ("left", "right"):
        nobody |= {f"{side}hand_kpts": [0.0] * 63, f"{side}hand_valid": False}
    images = [{"id": 9, "file_name": "000000000009.jpg", "width": 640, "height": 480}]
    _write_json(
        folder / "annotations" / "coco_wholebody_val_v1.0.json",
        {"info": {}, "images": images, "annotations": [kinds, nobody]},
    )
    _write_image(folder / "val2017" / "000000000009.jpg", scene.image)
    return [Expected(one, None, scene.camera) for one in scene.hands]


def write_samples(folder: Path) -> list[Expected]:
    samples, expected = [], []
    for number, side in enumerate(("left", "right")):
        scene = true_image(COLOUR_CAMERA, (side,), 140 + number)
        one = scene.hands[0]
        samples.append(
            {"image": f"{number}.png", "width": 640, "height": 480, "hand": side, "K": COLOUR_CAMERA.K.tolist(),
             "xyz_m": one.joints_m.tolist(), "uv": one.points_px.tolist(), "frame": number}
        )  # fmt: skip
        _write_image(folder / f"{number}.png", scene.image)
        expected.append(Expected(one, scene.image, COLOUR_CAMERA))
    _write_json(folder / "samples.json", {"n": 2, "samples": samples})
    return expected


WRITERS: dict[str, Callable[[Path], list[Expected]]] = {
    "rhd": write_rhd,
    "stb": write_stb,
    "interhand26m": write_interhand26m,
    "freihand": write_freihand,
    "ho3d": lambda folder: write_ho3d(folder, truth=True),
    "dexycb": write_dexycb,
    "dexter_object": write_dexter_object,
    "ego_dexter": write_ego_dexter,
    "hand_labels": write_hand_labels,
    "coco": write_coco,
    "samples": write_samples,
}
OPTIONS = {"dexycb": {"setup": "all"}}
"""Options with which a miniature set is opened, by name of the set."""


def _single(camera: CameraModel, side: str, seed: int) -> list[TrueImage]:
    return [true_image(camera, (side,), seed + number) for number in range(2)]


def _with_palm(joints: np.ndarray) -> np.ndarray:
    """Half way between wrist and ring MCP in the wrist's place."""
    return np.concatenate(((joints[:1] + joints[13:14]) / 2, joints[1:]))


def _mano_like(one: TrueHand) -> np.ndarray:
    """As many vertices as MANO has, spread over the mesh."""
    return one.vertices_m[np.linspace(0, len(one.vertices_m) - 1, 778).round().astype(int)]


def _write_tips(
    folder: Path, camera: CameraModel, files: dict[str, Path], to_file: Callable, unknown: str, seed: int
) -> list[Expected]:
    """Two images a sequence; of the second the thumb's tip is not labelled."""
    expected = []
    for first, (name, path) in enumerate(files.items()):
        lines = []
        for number in range(2):
            scene = true_image(camera, ("left",), seed + 2 * first + number)
            numbers = to_file(scene.hands[0].joints_m[TIPS])
            texts = [", ".join(f"{value:.5f}" for value in tip) for tip in numbers]
            if number:
                texts[0] = unknown
            lines.append("; ".join(texts) + ";")
            _write_image(folder / "data" / name / "color" / f"image_{number:05d}_color.png", scene.image)
            expected.append(Expected(scene.hands[0], scene.image, camera))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return expected


def _write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
