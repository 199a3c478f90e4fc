"""Who goes on to the finals when no net has earned a weight yet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from forecast.auto.candidates import named
from forecast.auto.finals import _contender
from forecast.auto.folds import Folds, cut_folds
from forecast.auto.race import Trial
from forecast.ingest.door import to_panel
from forecast.model import Task
from tests.conftest import seasonal_frame


@pytest.fixture(scope="module")
def folds() -> Folds:
    cut = cut_folds(to_panel(seasonal_frame(), freq="MS"), Task(4, 12))
    assert cut is not None
    return cut


def trial(name: str, folds: Folds, off: float) -> Trial:
    """One that is wrong by ``off`` in-sample seasonal errors at every step."""
    (candidate,) = named((name,))
    history: dict[str, Any] = {"best_step": 10, "steps": 10, "curves": []}
    forecasts = folds.actual + off * folds.scale[:, None, None]
    return Trial(candidate, 1.0, "", forecasts, SimpleNamespace(history=history) if candidate.is_net else None)


def test_the_best_net_near_the_best_baseline_is_a_contender(folds: Folds) -> None:
    trials = [trial("naive", folds, 1.0), trial("segrnn", folds, 1.15), trial("mlp", folds, 1.1)]
    leader = _contender(trials, folds)
    assert leader is trials[2] and leader.improving


def test_a_net_far_behind_is_none(folds: Folds) -> None:
    assert _contender([trial("naive", folds, 1.0), trial("segrnn", folds, 1.5)], folds) is None


def test_without_nets_there_is_none(folds: Folds) -> None:
    assert _contender([trial("naive", folds, 1.0)], folds) is None
    assert np.isfinite(folds.scale).all()
