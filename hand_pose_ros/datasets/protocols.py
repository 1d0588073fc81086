"""The protocols of the public sets: which joints count, how estimates are aligned first, and which figures result.

A protocol says what is measured; :mod:`hand_pose_ros.evaluation.benchmark.scoring` measures it. The rules were
derived again from the scripts that their authors publish (named at each) and from the papers. All published
scripts of this family average over keypoints: the mean of each keypoint's mean error over all hands, of its
median, of its curve.

The 2.5D heatmap paper is that of Iqbal et al. 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from hand_pose_ros import hand

_MIDDLE_MCP: Final = hand.JOINT_INDEX["middle_mcp"]
_MIDDLE_PIP: Final = hand.JOINT_INDEX["middle_pip"]
_ALL: Final = tuple(range(hand.NUM_JOINTS))


class Auc(NamedTuple):
    """Area under the curve of correct keypoints over ``steps`` thresholds from lowest to highest.

    Thresholds are metres in 3D, pixels or head sizes in 2D.
    """

    name: str
    lowest: float
    highest: float
    steps: int


@dataclass(frozen=True)
class View:
    """One way to align estimates with labels, and its figures; '' where a figure is not part of the protocol.

    mean, median: names of the figures, in millimetres, pixels or head sizes, as the name says.
    space: '3d', '2d' (image points), 'head' (image points, in head sizes) or 'mesh' (vertices).
    align: 'absolute'; 'root'; 'root_scale' (root, then the length of ``scale_bone``); 'procrustes'.
    root: 'wrist'; or a palm centre, half way from the wrist to a knuckle: 'palm_middle', 'palm_ring'. It takes the
        place of joint 0.
    scale_bone: parent and child joint.
    joints: that count. visible_only: count only joints that the set calls visible.
    tip_length: factor of the last bones of the estimate, before anything else.
    by_side: average the keypoints of left and right hands apart.
    by_group: name of a figure for each group of the set, in place of ``mean``.
    """

    mean: str = ""
    median: str = ""
    aucs: tuple[Auc, ...] = ()
    space: str = "3d"
    align: str = "absolute"
    root: str = "wrist"
    scale_bone: tuple[int, int] = (_MIDDLE_MCP, _MIDDLE_PIP)
    joints: tuple[int, ...] = _ALL
    visible_only: bool = False
    tip_length: float = 1.0
    by_side: bool = False
    by_group: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Protocol:
    """A protocol of a set.

    rule: what it does, and where it comes from.
    f_scores: thresholds in metres of the F-scores of the mesh, plain and aligned.
    mrrpe: name of the figure of the left wrist relative to the right one, '' without.
    server: format of the server that withholds the labels, '' without.
    """

    rule: str
    views: tuple[View, ...]
    f_scores: tuple[float, ...] = ()
    mrrpe: str = ""
    server: str = ""

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of all figures, in the order of a table."""
        names = []
        for view in self.views:
            names += [view.mean, view.median, *(auc.name for auc in view.aucs)]
            names += [name for _, name in view.by_group]
        names += [f"{kind}F@{1e3 * threshold:g} mm" for threshold in self.f_scores for kind in ("", "PA ")]
        return tuple(name for name in (*names, self.mrrpe) if name)


# Zimmermann and Brox take 20 thresholds from 0 to 50 mm, and from the ninth on (21.05 mm) for "20 to 50 mm".
_ZB_AUC: Final = (Auc("AUC 0-50 mm", 0.0, 0.050, 20), Auc("AUC 20-50 mm", 8 * 0.050 / 19, 0.050, 12))
_ZB_2D: Final = View(
    "2D EPE mean px",
    "2D EPE median px",
    (Auc("2D AUC 0-30 px", 0.0, 30.0, 20),),
    space="2d",
    visible_only=True,
)
_SERVER_AUC: Final = (0.0, 0.050, 100)


def _zimmermann(root: str, align: str) -> tuple[View, ...]:
    return (
        View("EPE mean mm", "EPE median mm", _ZB_AUC, align=align, root=root, visible_only=True),
        _ZB_2D,
    )


def _tips(shortening: float) -> tuple[View, ...]:
    tips = hand.FINGERTIPS
    return (
        View(
            "EPE mean mm",
            "EPE median mm",
            (Auc("AUC 0-100 mm", 0.0, 0.100, 100),),
            joints=tips,
            tip_length=shortening,
        ),
        View(
            "2D EPE mean px",
            "2D EPE median px",
            (Auc("2D AUC 0-30 px", 0.0, 30.0, 100),),
            space="2d",
            joints=tips,
            tip_length=shortening,
        ),
    )


def _mesh_views() -> tuple[View, ...]:
    return (
        View("absolute MPVPE mm", "", (Auc("absolute AUC vertices 0-50 mm", *_SERVER_AUC),), space="mesh"),
        View(
            "PA-MPVPE mm",
            "",
            (Auc("PA AUC vertices 0-50 mm", *_SERVER_AUC),),
            space="mesh",
            align="procrustes",
        ),
    )


_GENERAL: Final = (
    View("absolute MPJPE mm", "", (Auc("absolute AUC 0-50 mm", *_SERVER_AUC),)),
    View("MPJPE mm", "", (Auc("AUC 0-50 mm", *_SERVER_AUC),), align="root"),
    View("PA-MPJPE mm", "", (Auc("PA AUC 0-50 mm", *_SERVER_AUC),), align="procrustes"),
)

PROTOCOLS: Final[dict[str, dict[str, Protocol]]] = {
    "rhd": {
        "paper": Protocol(
            "Root and scale of the label, as in the diffusion + FK paper (script of Spurr et al. 2018) and the"
            " 2.5D heatmap paper's row with the true root and scale: joint 0 is the middle between wrist and "
            "middle MCP, the estimate gets the label's length of the middle finger's proximal phalanx, joints "
            "that the set calls visible count. (lmb-freiburg/hand3d eval_full.py, spurra/vae-hands-3d "
            "evaluate_model.py)",
            _zimmermann("palm_middle", "root_scale"),
        ),
        "root": Protocol(
            "Root of the label, scale of the estimate, as in the 2.5D heatmap paper's own row; otherwise as "
            "`paper`.",
            _zimmermann("palm_middle", "root"),
        ),
    },
    "stb": {
        "paper": Protocol(
            "Root and scale of the label, as in the diffusion + FK paper: the set's palm centre is the root, "
            "which an estimate has half way between wrist and ring MCP; the estimate gets the label's length "
            "of the middle finger's proximal phalanx. (the same scripts)",
            _zimmermann("palm_ring", "root_scale"),
        ),
        "root": Protocol(
            "Root of the label, scale of the estimate, as in the 2.5D heatmap paper; otherwise as `paper`.",
            _zimmermann("palm_ring", "root"),
        ),
    },
    "interhand26m": {
        "paper": Protocol(
            "Each hand relative to its own wrist, which counts with its error of zero; the mean over 42 "
            "keypoints, of images of one hand, of two, and of both. MRRPE: the left wrist relative to the "
            "right one, where both are valid. The official script places estimates at a root depth of another "
            "network or the label; here the estimate's own is used. (facebookresearch/InterHand2.6M "
            "data/InterHand2.6M/dataset.py)",
            (
                View(
                    "MPJPE all mm",
                    align="root",
                    by_side=True,
                    by_group=(("single", "MPJPE single mm"), ("interacting", "MPJPE interacting mm")),
                ),
            ),
            mrrpe="MRRPE mm",
        ),
    },
    "freihand": {
        "paper": Protocol(
            "Joints and vertices in the camera frame, and after the similarity transform that fits best, which"
            " may mirror; vertices by a transform of their own. F-scores compare nearest vertices, whatever "
            "the mesh. (lmb-freiburg/freihand eval.py) Joints also relative to the wrist, which counts with zero: "
            "DiffHand's MPJPE.",
            (*_GENERAL, *_mesh_views()),
            f_scores=(0.005, 0.015),
            server="freihand",
        ),
    },
    "ho3d": {
        "paper": Protocol(
            "The server's figures: joints in the camera frame; with the label's wrist and length wrist -> "
            "middle MCP; and after the best similarity transform, which may mirror; vertices and F-scores as "
            "FreiHAND's. The second is DiffHand's MPJPE. (shreyashampali/ho3d eval.py)",
            (
                _GENERAL[0],
                View(
                    "MPJPE mm",
                    "",
                    (Auc("AUC 0-50 mm", *_SERVER_AUC),),
                    align="root_scale",
                    scale_bone=(hand.WRIST, _MIDDLE_MCP),
                ),
                _GENERAL[2],
                *_mesh_views(),
            ),
            f_scores=(0.005, 0.015),
            server="ho3d",
        ),
    },
    "dexycb": {
        "paper": Protocol(
            "Joints in the camera frame, relative to the wrist (which counts with zero; DiffHand's MPJPE), and"
            " after the best similarity transform, which may mirror. (NVlabs/dex-ycb-toolkit hpe_eval.py)",
            _GENERAL,
        ),
    },
    "dexter_object": {
        "paper": Protocol(
            "Fingertips in the camera frame, in millimetres and in the image. The 2.5D heatmap paper shortens "
            "the last bones of the estimate to 0.9, since the set's labels are the middle of the tips. The "
            "thresholds end at 100 mm and 30 px, the only round ones that agree with the paper's own mean "
            "errors and AUC (Table 1).",
            _tips(0.9),
        ),
        "as_estimated": Protocol("As `paper`, without shortening the tips.", _tips(1.0)),
    },
    "ego_dexter": {
        "paper": Protocol("As Dexter+Object, without shortening the tips (2.5D heatmap paper).", _tips(1.0))
    },
    "hand_labels": {
        "paper": Protocol(
            "PCKh: errors in the image, divided by the size of the head (Simon et al. 2017, 2.5D heatmap paper"
            " Fig. 3f). The paper shows the curve only; the area to 0.5 head sizes is ours.",
            (
                View(
                    "EPE mean heads",
                    "EPE median heads",
                    (Auc("AUC 0-0.5 heads", 0.0, 0.5, 100),),
                    space="head",
                ),
            ),
        ),
    },
    "coco": {
        "paper": Protocol(
            "Errors in the image, pixels; and in 3D where the annotations have it.",
            (
                View(
                    "2D EPE mean px", "2D EPE median px", (Auc("2D AUC 0-30 px", 0.0, 30.0, 100),), space="2d"
                ),
                *_GENERAL,
            ),
        ),
    },
    "samples": {
        "paper": Protocol(
            "In the camera frame, relative to the wrist, and after the best similarity transform.", _GENERAL
        )
    },
}
"""Set -> name -> protocol; `paper` is the default."""
