"""Fixtures that every test file may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from helpers.fuzzing import FACTOR
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # tests import onnxruntime themselves, too
# The tests' batches are small, and where cores are shared more threads only wait for each other.
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)
# The same examples here and in CI, on every run; HAND_POSE_FUZZ asks for other ones (test/helpers/fuzzing.py).
settings.register_profile("repeatable", derandomize=FACTOR == 0, deadline=None, print_blob=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings and photos, which is not part of the repository; skips where it is absent.

    It is ``shared/data`` beside the checkout, or the folder named by HAND_POSE_SHARED_DATA.
    """
    named = os.environ.get("HAND_POSE_SHARED_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"needs the recordings in {folder}: set HAND_POSE_SHARED_DATA to the folder that holds them"
        )
    return folder
