"""The learning rate that is found: from curves with a known shape, and on a panel."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from forecast import Forecaster, Training, TrainingError
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.models import SegRNN
from forecast.nets.facts import Facts
from forecast.training.finder import USUAL, find_learning_rate, suggestion, sweep
from forecast.training.module import ForecastModule
from forecast.training.source import build_source

TINY = SegRNN(input_size=12, segment=4, hidden_size=8, dropout=0.1)
RATES = np.geomspace(1e-5, 1.0, 100)


def curve_with(fall_from: float, bottom_from: float, breaks_at: float) -> np.ndarray:
    """A loss of 1 that falls to 0.5 between two rates, stays there, and is 5 from a third rate on."""
    place = np.clip(np.log(RATES / fall_from) / np.log(bottom_from / fall_from), 0.0, 1.0)
    return np.where(breaks_at <= RATES, 5.0, 1.0 - 0.5 * place)


def test_the_suggestion_lies_between_where_the_loss_has_half_fallen_and_the_middle_of_its_bottom():
    losses = curve_with(1e-4, 1e-2, 1e-1)
    # half way down at 1e-3; nearly at the bottom from 10^-2.2 to 10^-1, whose middle is 10^-1.6
    assert suggestion(RATES, losses, np.ones(100)) == pytest.approx(10**-2.3, rel=0.25)


def test_batches_that_are_easy_or_hard_for_any_weights_do_not_mislead():
    losses = curve_with(1e-4, 1e-2, 1e-1)
    difficulty = 3.0 * np.random.default_rng(0).random(100)
    plain, shifted = suggestion(RATES, losses, np.ones(100)), suggestion(RATES, losses + difficulty, 1.0 + difficulty)
    assert shifted == pytest.approx(plain)


def test_a_tenfold_shift_of_the_curve_shifts_the_suggestion_tenfold():
    one, ten = (
        suggestion(RATES, curve_with(*limits), np.ones(100)) for limits in ((1e-4, 1e-3, 1e-2), (1e-3, 1e-2, 1e-1))
    )
    assert ten / one == pytest.approx(10.0, rel=0.15)


@pytest.mark.parametrize("losses", [np.ones(100), np.full(100, 2.0), np.linspace(1, 3, 100)])
def test_where_training_lowers_no_loss_the_usual_rate_is_taken(losses):
    assert suggestion(RATES, losses, np.ones(100)) == USUAL


def test_a_loss_that_ends_in_infinity_or_breaks_at_once_still_gives_a_rate():
    losses = curve_with(1e-4, 1e-2, 2.0)
    losses[-1] = np.inf
    assert math.isfinite(suggestion(RATES, losses, np.ones(100)))
    assert suggestion(RATES[:1], [0.5], [1.0]) == pytest.approx(RATES[0])


def test_a_negative_loss_is_no_obstacle():
    losses = curve_with(1e-4, 1e-2, 1e-1)
    assert suggestion(RATES, losses - 3.0, np.full(100, -2.0)) == pytest.approx(suggestion(RATES, losses, np.ones(100)))


def test_the_sweep_leaves_weights_and_random_state_as_they_were(frame):
    training, facts = Training(batch_size=16, learning_rate="auto"), Facts(12, 3, seasons=(12,))
    net = TINY.build(facts)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    panel, task = to_panel(frame), Task(3, 12, progress=False)
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    one, two = (find_learning_rate(TINY, panel, task, training) for _ in range(2))
    assert torch.equal(torch.randn(3), expected)
    assert one == two
    assert 10 <= len(one.rates) == len(one.losses) == len(one.untouched) <= 100
    assert 1e-5 < one.suggestion < 1.0
    module = ForecastModule(net, build_source(panel, 12, 3, 12, None), facts, training, training.budget(), 0)
    sweep(module, torch.device("cpu"))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_sweep_ends_where_the_loss_breaks(frame):
    # Without clipping a plain linear map in window units breaks long before a rate of one.
    from forecast.models import MLP

    training = Training(batch_size=16, gradient_clip=None, loss="mse", precision="32")
    curve = find_learning_rate(
        MLP(input_size=12, hidden_size=32), to_panel(frame), Task(3, 12, progress=False), training
    )
    assert len(curve.rates) < 100
    assert curve.losses[-1] > 1.5 * curve.untouched[-1]
    assert curve.suggestion < curve.rates[-1]


def test_auto_trains_with_the_rate_it_found_and_tells_it(frame):
    training = Training(max_steps=6, batch_size=16, learning_rate="auto", cycles=1, validations=3)
    auto = Forecaster(TINY, h=3, training=training, progress=False).fit(frame)._fitted["segrnn"]
    found = find_learning_rate(TINY, to_panel(frame), Task(3, 12, progress=False), training).suggestion
    assert auto.history["learning_rate"] == found
    told = replace(training, learning_rate=found)
    same = Forecaster(TINY, h=3, training=told, progress=False).fit(frame)._fitted["segrnn"]
    assert all(
        torch.equal(a, b) for a, b in zip(auto.net.state_dict().values(), same.net.state_dict().values(), strict=True)
    )
    assert auto.history["training"]["learning_rate"] == "auto"


def test_auto_survives_saving_and_loading(frame, tmp_path):
    training = Training(max_steps=2, batch_size=8, learning_rate="auto", cycles=1, validations=1, averaging="swa")
    fitted = Forecaster(TINY, h=3, training=training, progress=False).fit(frame)
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    assert loaded.models["segrnn"].training == training


def test_a_first_gradient_that_is_not_finite_is_an_error(frame, monkeypatch):
    from forecast.training import module

    monkeypatch.setattr(module, "weighted_mean", lambda errors, weight: (errors * float("nan")).sum())
    with pytest.raises(TrainingError, match="step 0"):
        find_learning_rate(TINY, to_panel(frame), Task(3, 12, progress=False), Training(batch_size=8))
