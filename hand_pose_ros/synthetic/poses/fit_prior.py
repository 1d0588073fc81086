"""Makes the shipped statistics of hand poses, from free sets of poses and from rules.

``hand_pose prior-fit FOLDER``, where FOLDER holds ``pose_prior`` and ``real_hands``,
the sets that docs/how/pose_prior.md names.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.synthetic.poses.clearance import collides
from hand_pose_ros.synthetic.poses.contact import settle
from hand_pose_ros.synthetic.poses.mixture import Mixture, fit_mixture
from hand_pose_ros.synthetic.poses.prior import SHIPPED, VARIED, PosePrior, save_prior
from hand_pose_ros.synthetic.poses.proportions import random_proportions
from hand_pose_ros.synthetic.poses.rules import rule_poses
from hand_pose_ros.synthetic.poses.sources import (
    PoseSet,
    animated_hands,
    door_demonstrations,
    photo_labels,
    reaching_hand,
)

PARTS: Final = 24
BANK: Final = 3500
_SHARES = {"photos": 0.72, "reaching": 0.04, "animated": 0.14, "door": 0.10}
_FLOOR_DEG = 2.5  # smooths every part: the sets are few people's, and their joints noisy
_OFFSET_SPREAD = 0.8  # the photos' offsets contain their noise

log = logging.getLogger(__name__)


def read_sets(folder: Path) -> dict[str, PoseSet]:
    """All sets that the mixture is fitted to, by name."""
    prior = folder / "pose_prior"
    photos = photo_labels(folder / "real_hands" / "labels.npz")
    joints = "dexmv_relocate/examples/retargeting_source/relocate_mustard_example_seq/hand_pose"
    demonstrations = "dapg_door/dapg/demonstrations/door-v0_demos.pickle"
    return {
        "photos": photos,
        "reaching": reaching_hand(prior / joints),
        "animated": animated_hands(prior / "static_poses_cc0_mit"),
        "door": door_demonstrations(prior / demonstrations, photos),
    }


def fit_to_sets(sets: dict[str, PoseSet], parts: int, generator: torch.Generator) -> Mixture:
    """The mixture over the angles ``VARIED`` of all sets, each in its share."""
    angles = torch.cat([one.angles for one in sets.values()])[:, VARIED]
    weights = torch.cat([one.weights / one.weights.sum() * _SHARES[name] for name, one in sets.items()])
    floor = float(torch.deg2rad(torch.tensor(_FLOOR_DEG)))
    return fit_mixture(angles, weights, parts, floor, generator)


def make_bank(
    count: int, offsets: PoseSet, generator: torch.Generator, rounds: int = 150
) -> tuple[Tensor, Tensor]:
    """Angles (m, 38) and proportions (m, 20) of rule-made poses, m about ``count``, settled into contact.

    The offset angles vary around the neutral hand as those of ``offsets`` do around their mean. Hands whose
    fingers still pass through each other are left out.
    """
    bounds = angle_bounds()
    poses = rule_poses(count, generator)
    chosen = torch.multinomial(offsets.weights, len(poses.degrees), replacement=True, generator=generator)
    mean = offsets.weights @ offsets.angles / offsets.weights.sum()
    spread = _OFFSET_SPREAD * (offsets.angles[chosen] - mean).float()
    angles = torch.cat(
        (torch.deg2rad(poses.degrees), (bounds.neutral + spread)[:, hand.NUM_ARTICULATION :]), dim=-1
    )
    proportions = random_proportions(len(angles), generator)
    angles = settle(angles, proportions, poses.contacts, rounds)
    clear = ~collides(forward_kinematics(angles, proportions).joints)
    order = torch.randperm(int(clear.sum()), generator=generator)
    return angles[clear][order], proportions[clear][order]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="hand_pose prior-fit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where pose_prior and real_hands are")
    parser.add_argument("--output", type=Path, default=SHIPPED, help="the file to write")
    parser.add_argument("--parts", type=int, default=PARTS, help="normal distributions in the mixture")
    parser.add_argument("--bank", type=int, default=BANK, help="poses made by rule")
    parser.add_argument("--seed", type=int, default=Seed.ARBITRARY.value)
    options = parser.parse_args(arguments)
    generator = torch.Generator().manual_seed(options.seed)
    sets = read_sets(options.folder)
    for name, one in sets.items():
        log.info("%s: %d poses", name, len(one.angles))
    mixture = fit_to_sets(sets, options.parts, generator)
    bank = make_bank(options.bank, sets["photos"], generator)
    log.info("%d parts, %d poses by rule", len(mixture.share), len(bank[0]))
    save_prior(PosePrior(mixture, *bank), options.output)
    log.info("wrote %s, %.0f kB", options.output, options.output.stat().st_size / 1e3)
    return 0
