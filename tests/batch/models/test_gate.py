"""The gate: fair, blind to what it must not see, and open only to a challenger that is at least as good."""

from __future__ import annotations

import json

import numpy as np
import pytest

from forecast.batch.models.exam import Exam
from forecast.batch.models.gate import Gate, unjudged
from forecast.errors import ConfigError
from forecast.model import Prediction, Task
from forecast.models import create
from forecast.panel.split import actuals


class Perfect:
    """Knows the future of ``panel``, and is off by ``error``."""

    def __init__(self, panel, error=0.0, spoil=None):
        self.panel, self.error, self.spoil = panel, error, spoil

    def predict(self, panel, h, probs=()):
        rows = self.panel.ids.get_indexer(panel.ids)
        point = actuals(self.panel.take(rows), panel.last, h) + self.error
        if self.spoil is not None:
            point[self.spoil] = np.nan
        return Prediction(point, np.empty((*point.shape, 0)))

    def describe(self):
        return {}


class Broken:
    def predict(self, panel, h, probs=()):
        raise np.linalg.LinAlgError("Singular matrix")

    def describe(self):
        return {}


def test_the_better_challenger_passes_and_the_worse_does_not(panel, task):
    gate = Gate(cutoffs=3)
    exam = gate.exam(panel, task, None)
    better, worse = Perfect(panel, 0.1), Perfect(panel, 0.2)
    assert gate.judge(exam, better, worse).passed
    refused = gate.judge(exam, worse, better)
    assert not refused.passed and "behind current (" in refused.reason
    assert refused.scores["challenger"] == pytest.approx(2 * refused.scores["current"])


def test_as_good_is_good_enough_and_the_tolerance_is_a_share(panel, task):
    exam = Gate().exam(panel, task, None)
    one, two = Perfect(panel, 0.100), Perfect(panel, 0.104)
    assert Gate().judge(exam, one, one).passed
    assert not Gate().judge(exam, two, one).passed
    assert Gate(tolerance=0.05).judge(exam, two, one).passed
    assert not Gate(tolerance=-0.05).judge(exam, one, one).passed


def test_a_challenger_behind_the_seasonal_naive_is_refused_even_as_the_first_model(panel, task):
    exam = Gate().exam(panel, task, None)
    verdict = Gate().judge(exam, Perfect(panel, 50.0), None)
    assert not verdict.passed and "behind seasonal_naive (" in verdict.reason
    assert set(verdict.scores) == {"challenger", "seasonal_naive"}


def test_what_raises_or_gives_nan_never_passes_and_never_stands_in_the_way(panel, task):
    exam = Gate().exam(panel, task, None)
    good = Perfect(panel)
    for bad, why in ((Broken(), "Singular matrix"), (Perfect(panel, spoil=(0, 1)), "not finite")):
        refused = Gate().judge(exam, bad, good)
        assert not refused.passed and why in refused.reason
        assert refused.facts()["scores"]["challenger"] is None
        json.dumps(refused.facts(), allow_nan=False)
        assert Gate(tolerance=-0.5).judge(exam, good, bad).passed


def test_the_score_is_the_mean_mase_of_the_series(panel, task):
    from forecast.report.metrics import mase

    exam = Gate(cutoffs=2).exam(panel, task, None)
    naive = create("seasonal_naive").fit(panel, task)
    expected = []
    for number, values in enumerate(panel.each()):
        past, errors = values[:-8], []
        for back in (8, 4):
            known = panel.take(np.array([number])).head(np.array([70 - back]))
            point = naive.predict(known, 4).point[0]
            actual = values[70 - back : 70 - back + 4]
            errors.append(mase(actual, point, past, 7))
        expected.append(np.mean(errors))
    assert exam.score(naive).value == pytest.approx(np.mean(expected))
    assert (exam.cells, exam.series, len(exam.cutoffs)) == (6 * 8, 6, 2)


def test_rows_held_out_are_not_in_the_past_that_the_trial_is_trained_on(panel, task):
    exam = Gate(cutoffs=3).exam(panel, task, None)
    assert (exam.past.lengths == 70 - 12).all()
    assert (exam.cutoffs[0] == exam.past.last).all()


def test_only_rows_that_the_current_model_has_not_seen_are_judged(panel, task):
    """Trained a week ago: three cutoffs share the seven rows since then, with horizons cut to what there is."""
    since = int(panel.last.max()) - 7
    exam = Gate(cutoffs=3).exam(panel, task, since)
    assert (exam.cutoffs >= since).all() and (exam.past.last <= since).all()
    assert [int(exam.cutoffs[k, 0]) - since for k in range(3)] == [0, 2, 4]
    assert np.isfinite(exam.actual).sum(axis=(1, 2)).tolist() == [24, 24, 18]
    poisoned = Perfect(panel)
    assert exam.score(poisoned).value == 0.0


def test_a_series_that_ended_before_is_not_judged(panel, task):
    lengths = np.full(len(panel), 70)
    lengths[2] = 40
    since = int(panel.last.max()) - 5
    exam = Gate().exam(panel.head(lengths), task, since)
    assert exam.series == 5 and exam.past.lengths[2] == 40


def test_where_there_is_nothing_to_judge_on_it_says_why(panel, task):
    latest = int(panel.last.max())
    assert "not been trained on" in Gate().exam(panel, task, latest)
    assert "not been trained on" in Gate().exam(panel, task, latest + 100)  # a backfill with a saved model
    short = panel.head(np.full(len(panel), 5))
    assert "too short" in Gate().exam(short, task, None)
    assert unjudged("x", first=True).passed and not unjudged("x", first=False).passed


def test_short_series_hold_out_fewer_rows(panel, task):
    exam = Gate(cutoffs=3).exam(panel.head(np.full(len(panel), 15)), task, None)
    assert isinstance(exam, Exam)
    assert (exam.past.lengths >= 7).all() and exam.cells > 0


def test_series_that_never_move_are_judged_by_their_absolute_error(panel, task):
    from dataclasses import replace

    flat = replace(panel, values=np.full_like(panel.values, 3.0))
    exam = Gate().exam(flat, task, None)
    assert exam.metric == "mae"
    assert Gate().judge(exam, Perfect(flat), None).passed


@pytest.mark.parametrize("metric", ["mase", "smape", "mae"])
def test_every_metric_ranks_a_better_forecast_higher(panel, task, metric):
    exam = Gate(metric=metric).exam(panel, task, None)
    assert exam.score(Perfect(panel)).value < exam.score(Perfect(panel, 1.0)).value


def test_arguments_out_of_range_are_named():
    for wrong in ({"cutoffs": 0}, {"metric": "mape"}, {"tolerance": -1}, {"tolerance": "a"}, {"tolerance": True}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Gate(**wrong)


def test_of_very_many_series_a_spread_is_judged(monkeypatch, panel):
    from forecast.batch.models import exam as module

    monkeypatch.setattr(module, "MOST_SERIES", 3)
    exam = Gate().exam(panel, Task(4, 7), None)
    assert len(exam.panel) == 3 and len(exam.past) == 6
    assert exam.panel.ids.tolist() == ["s000", "s002", "s005"]
