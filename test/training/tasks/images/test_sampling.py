"""Images that are read by epochs: each once before any comes again, over all processes and resumptions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from helpers.image_networks import drawn_hands, small_config
from helpers.training import training_config

from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.training.ranks import Ranks
from hand_pose_ros.training.task import create_task
from hand_pose_ros.training.tasks.images.batches import ImageDataOptions, ImageSource
from hand_pose_ros.training.tasks.images.sampling import EpochOrder
from hand_pose_ros.training.trainer import Trainer


@pytest.mark.parametrize(("rows", "count"), [(12, 4), (10, 4), (5, 7), (1, 3), (7, 1)])
def test_every_row_comes_once_an_epoch(rows, count):
    order = EpochOrder(rows, 3, 1)
    batches = 5 * rows  # five whole epochs for every count
    taken = np.concatenate([order.take(number, count) for number in range(batches)])
    epochs = taken.reshape(-1, rows)
    assert all(sorted(epoch) == list(range(rows)) for epoch in epochs.tolist())
    assert rows < 5 or len({tuple(epoch) for epoch in epochs.tolist()}) > 1
    backwards = EpochOrder(rows, 3, 1)  # another process, which takes others before
    for number in range(batches - 1, -1, -1):
        np.testing.assert_array_equal(
            backwards.take(number, count), taken[number * count : (number + 1) * count]
        )


def test_seeds_and_sets_have_orders_of_their_own():
    orders = [EpochOrder(50, *given).take(0, 50).tolist() for given in ((0, 1), (1, 1), (0, 2))]
    assert len({tuple(order) for order in orders}) == 3
    with pytest.raises(ValueError, match="no image"):
        EpochOrder(0, 0, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hands whose weight tells which they are."""
    folder = tmp_path_factory.mktemp("shards")
    hands = drawn_hands(20)
    hands.weight[:] = 1 + np.arange(20) / 100
    save_shard(folder / "one", hands.rows(slice(0, 11)), 0, {})
    save_shard(folder / "two", hands.rows(slice(11, 20)), 0, {})
    return folder


def options(folder, **values):
    return {
        "data": {
            "rendered": [str(folder)],
            "batch_size": 4,
            "held_back": 4,
            "negatives": 1,
            "sampling": "epochs",
            **values,
        },
        "network": {name: small_config().to_dict()[name] for name in ("image", "diffusion")},
        "keypoint_hands": 2,
    }


def read_by(folder, output, monkeypatch, micro_batches, steps):
    """How often a run reads each hand, whose own micro-batches are all."""
    read = Counter()
    draw = ImageSource.draw

    def counted(self, *given):
        hands = draw(self, *given)
        read.update(hands.weight.round(2).tolist())
        return hands

    config = training_config(
        task="image_hand_diffusion", options=options(folder), steps=steps, micro_batches=micro_batches
    )
    with monkeypatch.context() as patch:
        patch.setattr(ImageSource, "draw", counted)
        trainer = Trainer(create_task(config.task, config.options, config.seed), config, output)
        trainer.run()
        trainer.task._batches._pool.shutdown()
    return read


def test_a_run_reads_every_image_once(folder, tmp_path, monkeypatch):
    # 2 steps of 2 micro-batches are one epoch of 16 images; the batch that is made ahead is of the next epoch.
    read = read_by(folder, tmp_path, monkeypatch, micro_batches=2, steps=2)
    assert len(read) == 16
    assert sum(read.values()) == 20
    assert max(read.values()) == 2


def test_the_processes_of_a_run_read_disjoint_images(folder):
    """What two processes ask for in the first two steps, by the numbers that the trainer gives."""
    source = ImageSource(ImageDataOptions((str(folder),), batch_size=4, held_back=4, sampling="epochs"), 7)
    taken = []
    for rank in (0, 1):
        own = Ranks(rank, 0, 2, grouped=True).own(2)
        for step in range(2):
            for number in own:
                hands = source.draw(4, np.random.default_rng(0), step * 2 + number)
                taken += hands.weight.round(2).tolist()
    assert len(taken) == len(set(taken)) == 16


def test_what_does_not_go_together_is_refused(folder):
    source = ImageSource(ImageDataOptions((str(folder),), held_back=4, sampling="epochs"))
    with pytest.raises(ValueError, match="the trainer numbers the batches"):
        source.draw(4, np.random.default_rng(0))
    for values in ({"sampling": "random"}, {"sampling": "epochs", "real_weights": (1.0,)}):
        with pytest.raises(ValueError, match="sampling must be one of weighted, epochs"):
            ImageDataOptions(real=(str(folder),), **values)
