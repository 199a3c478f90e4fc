"""Every likelihood against the same distribution of scipy: density, distribution function, quantiles, moments, samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from tests.distributions.references import CASES, Case, log_density

PROBS = (0.001, 0.01, 0.1, 0.4, 0.5, 0.75, 0.98, 0.9999)
every = pytest.mark.parametrize("case", CASES, ids=str)


def expected_quantiles(case: Case) -> np.ndarray:
    """Scipy's, or where it has none those of its distribution function."""
    if hasattr(case.reference, "ppf"):
        return case.reference.ppf(PROBS)
    if case.likelihood.discrete:
        wholes = np.arange(2000)
        return wholes[np.searchsorted(case.reference.cdf(wholes), PROBS)]
    low, high = (0.0, 1e3) if case.likelihood.kind == "positive" else (-1e3, 1e3)
    return np.array(
        [
            low
            if case.reference.cdf(low) >= p
            else optimize.brentq(lambda x, p=p: case.reference.cdf(x) - p, low, high)
            for p in PROBS
        ]
    )


def lattice(draws: int) -> torch.Tensor:
    """Evenly spread numbers."""
    points = stats.qmc.Sobol(draws, seed=0).random_base2(13)
    return torch.from_numpy(points).clamp(1e-9, 1 - 1e-9)


@every
def test_the_log_density_is_the_reference_s(case):
    found = case.likelihood.log_prob(case.raw, torch.tensor(case.values, dtype=torch.float64))
    np.testing.assert_allclose(found, log_density(case.reference, np.array(case.values)), rtol=1e-7, atol=1e-8)


@every
def test_the_distribution_function_is_the_reference_s_at_any_number(case):
    values = np.array([-1e9, -3.0, -0.2, *case.values, 3.4, 1e9])
    found = case.likelihood.cdf(case.raw, torch.tensor(values))
    np.testing.assert_allclose(found, case.reference.cdf(values), rtol=1e-7, atol=1e-10)


@every
def test_quantiles_are_the_reference_s(case):
    found = case.likelihood.quantile(case.raw, torch.tensor(PROBS, dtype=torch.float64))
    np.testing.assert_allclose(found, expected_quantiles(case), rtol=0 if case.likelihood.discrete else 1e-6, atol=1e-9)


@every
def test_mean_and_variance_are_the_reference_s(case):
    assert case.likelihood.mean(case.raw).item() == pytest.approx(case.reference.mean(), rel=1e-9)
    assert case.likelihood.variance(case.raw).item() == pytest.approx(case.reference.var(), rel=1e-9)


@every
def test_evenly_spread_numbers_give_samples_with_the_mean_and_the_distribution_of_the_reference(case):
    samples = case.likelihood.sample(case.raw, lattice(case.likelihood.draws)).numpy()
    assert samples.mean() == pytest.approx(case.reference.mean(), abs=0.02 * case.reference.var() ** 0.5)
    for value in case.values:
        assert (samples <= value).mean() == pytest.approx(float(case.reference.cdf(value)), abs=5e-3)


@every
def test_the_gradient_of_the_log_density_is_that_of_finite_differences(case):
    values = torch.tensor(case.values, dtype=torch.float64)
    raw = case.raw.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda raw: case.likelihood.log_prob(raw, values), raw, eps=1e-6, atol=1e-5)


@every
def test_the_quantile_of_the_probability_of_a_value_is_the_value(case):
    values = torch.tensor(case.values, dtype=torch.float64)
    probs = case.likelihood.cdf(case.raw, values)
    likely = torch.from_numpy(log_density(case.reference, np.array(case.values)) > -10)  # not between two humps
    inner = likely & (probs < 1 - 1e-6)
    assert inner.sum() >= 1
    slack = 1e-12 if case.likelihood.discrete else 0.0  # a step is reached despite rounding
    back = case.likelihood.quantile(case.raw, probs[inner] - slack)
    np.testing.assert_allclose(back, values[inner], rtol=1e-6, atol=1e-9)


@every
def test_single_precision_keeps_six_digits_of_the_log_density(case):
    values = torch.tensor(case.values)
    exact = case.likelihood.log_prob(case.raw.float().double(), values.double())
    found = case.likelihood.log_prob(case.raw.float(), values)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, exact, rtol=3e-5, atol=3e-6)


@every
def test_a_larger_first_draw_never_lowers_the_sample(case):
    uniform = torch.rand(300, case.likelihood.draws, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    larger = uniform.clone()
    larger[:, 0] = 0.5 + 0.5 * uniform[:, 0]
    assert (case.likelihood.sample(case.raw, larger) >= case.likelihood.sample(case.raw, uniform)).all()


@every
def test_cells_of_any_shape_are_broadcast(case):
    raw = case.raw.expand(3, 1, -1)
    value = torch.full((2,), case.values[-1], dtype=torch.float64)
    for what in (case.likelihood.log_prob, case.likelihood.cdf):
        torch.testing.assert_close(what(raw, value), what(case.raw, value[0]).expand(3, 2))
    probs = torch.tensor([0.3, 0.6], dtype=torch.float64)
    torch.testing.assert_close(
        case.likelihood.quantile(raw, probs), case.likelihood.quantile(case.raw, probs).expand(3, 2)
    )
    assert case.likelihood.random(raw).shape == (3, 1)
