"""Processes with known truth: intervals cover what they say, and the right likelihood is nearly as good as the truth.

2,000 independent series; the value after each is forecast. The band is the binomial one, 99 % of the time.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from forecast import Forecaster
from forecast.models import MLP, DeepAR
from tests.processes import PROBS, PROCESSES, Run, band, coverage, crps

LEVELS = (80, 95)
INPUT, HIDDEN, STEPS = 84, 64, 3000
NEARLY = 1.03  # of the true process's score
COUNTS = ("count", "intermittent")


@cache
def run_of(process: str) -> Run:
    return PROCESSES[process].run(seed=3)  # whose true intervals cover what they should: see check_coverage


def quantiles_of(run: Run, model: Any, steps: int | None = STEPS, **options: Any) -> Any:
    fitted = Forecaster({"m": model}, h=1, freq="D", season_length=7, max_steps=steps, progress=False, **options)
    return fitted.fit(run.frame).predict(quantiles=list(PROBS))[[f"m-q-{p:g}" for p in PROBS]].to_numpy()


def check_coverage(quantiles: Any, run: Run, *, at_least: bool = False) -> None:
    found = {level: coverage(quantiles, run.actual, level) for level in LEVELS}
    for level, share in found.items():
        over = share - level / 100
        assert -band(level) <= over and (at_least or over <= band(level)), found


@pytest.mark.parametrize("process", PROCESSES)
def test_the_right_likelihood_covers_and_is_within_three_percent_of_the_truth(process):
    run = run_of(process)
    check_coverage(run.truth, run)  # of the process itself: the check is sound
    model = MLP(input_size=INPUT, hidden_size=HIDDEN, likelihood=PROCESSES[process].likelihood)
    quantiles = quantiles_of(run, model)
    check_coverage(quantiles, run)
    assert crps(quantiles, run.actual) <= NEARLY * crps(run.truth, run.actual)


@pytest.mark.parametrize(
    ("process", "head"),
    [
        ("ar1", {"quantiles": PROBS}),
        ("ar1", {"likelihood": "implicit_quantile"}),
        ("ar1", {"likelihood": "2*normal"}),
        ("heavy_tails", {"likelihood": "normal+student_t"}),
        ("heteroscedastic", {"likelihood": "implicit_quantile"}),
        ("count", {"likelihood": "2*poisson"}),
    ],
    ids=str,
)
def test_heads_that_can_be_anything_find_the_right_shape(process, head):
    run = run_of(process)
    quantiles = quantiles_of(run, MLP(input_size=INPUT, hidden_size=HIDDEN, **head))
    check_coverage(quantiles, run)
    assert crps(quantiles, run.actual) <= NEARLY * crps(run.truth, run.actual)


@pytest.mark.parametrize(
    ("process", "likelihood"), [("ar1", "normal"), ("heavy_tails", "student_t"), ("peaked", "laplace")]
)
def test_sampled_quantiles_of_deepar_cover(process, likelihood):
    run = run_of(process)
    model = DeepAR(input_size=INPUT, hidden_size=16, likelihood=likelihood, num_samples=500, quantiles=PROBS)
    check_coverage(quantiles_of(run, model, steps=300), run)


@pytest.mark.parametrize("method", ["split", "cross", "adaptive"])
@pytest.mark.parametrize("process", ["ar1", "seasonal", "heteroscedastic", "count", "intermittent"])
def test_conformal_intervals_cover_whatever_the_model(process, method):
    run = run_of(process)
    for model, steps in (("seasonal_naive", None), (MLP(input_size=28, hidden_size=8), 60)):
        # no interval about a number ends between two counts: it covers what it says, and more
        check_coverage(quantiles_of(run, model, steps, intervals=method), run, at_least=process in COUNTS)
