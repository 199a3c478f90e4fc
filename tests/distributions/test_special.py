"""What sets some likelihoods apart: masses at zero, shares of classes, components that part, the CRPS as a loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from forecast.distributions import Categorical, ImplicitQuantile, Likelihood, likelihood
from forecast.errors import ConfigError
from tests.distributions.references import CASES, raw_counts, tweedie_raw


def double(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_zeros_of_the_zero_inflated_are_extra_ones_and_drawn_ones():
    # mean 3, a third extra zeros: what is drawn has mean 4.5, dispersion 2, so it is 0 with (1 + 2 * 4.5)^(-1/2)
    raw = double(*raw_counts(3.0, 2.0, 2.0 + math.log(0.5)))
    found = likelihood("zero_inflated_negative_binomial")
    zero = 1 / 3 + 2 / 3 * 10**-0.5
    assert found.log_prob(raw, double(0.0)).exp().item() == pytest.approx(zero)
    assert found.cdf(raw, double(0.5)).item() == pytest.approx(zero)
    assert found.quantile(raw, double(zero - 1e-9, zero + 1e-9)).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("mean", "dispersion", "power"), [(2.0, 0.6, 1.3), (5.0, 1.5, 1.7), (1.0, 0.05, 1.95), (1.0, 3.0, 1.1)]
)
def test_the_density_of_tweedie_and_its_mass_at_zero_are_one_in_all(mean, dispersion, power):
    found, raw = likelihood("tweedie"), double(*tweedie_raw(mean, dispersion, power))
    logs = torch.linspace(-50.0, 8.0, 8001, dtype=torch.float64)
    dense = (found.log_prob(raw, logs.exp()) + logs).exp()
    mass = found.log_prob(raw, double(0.0)).exp().item()
    assert mass == pytest.approx(math.exp(-1 / (dispersion * (2 - power))))
    assert np.trapezoid(dense, logs) + mass == pytest.approx(1.0, abs=1e-6)


def test_quantiles_of_tweedie_are_found_where_its_density_has_many_humps():
    found = likelihood("tweedie")
    dispersion = np.geomspace(2e-3, 2.0, 200)
    raw = torch.tensor([tweedie_raw(1.0, each, 1.0101) for each in dispersion], dtype=torch.float64).unsqueeze(1)
    probs = torch.linspace(0.02, 0.98, 49, dtype=torch.float64)
    quantile = found.quantile(raw, probs)
    assert (quantile.diff() >= 0).all()
    torch.testing.assert_close(found.cdf(raw, quantile), torch.maximum(probs, found.cdf(raw, 0 * probs)))


def test_tweedie_trains_on_windows_of_nothing_but_zeros():
    raw = torch.zeros(5, 3, requires_grad=True)
    loss = likelihood("tweedie").loss(raw, torch.zeros(5))
    loss.sum().backward()
    assert torch.isfinite(loss).all() and (raw.grad[:, 1] < 0).all()  # more dispersed: more zeros
    assert likelihood("tweedie").quantile(torch.zeros(0, 3), torch.tensor(0.5)).shape == (0,)


@pytest.mark.parametrize("power", [1.05, 1.5, 1.9])
def test_saddle_point_and_series_of_tweedie_agree_where_one_follows_the_other(power, monkeypatch):
    from forecast.distributions import tweedie

    raw = double(*tweedie_raw(1.0, 1.05e-4, power))
    value = torch.linspace(0.95, 1.05, 21, dtype=torch.float64)
    found = []
    for limit in (0.0, 1.0):
        monkeypatch.setattr(tweedie, "SADDLE", limit)
        found.append(likelihood("tweedie").log_prob(raw, value))
    torch.testing.assert_close(*found, rtol=0, atol=2e-7)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.likelihood.kind != "event" and "*" not in str(case) and "+" not in str(case)],
    ids=str,
)
def test_a_mixture_of_two_equal_parts_is_the_part(case):
    mixed = likelihood(f"2*{case.likelihood.name}")
    one, two = (case.raw - double(*by) for by in mixed.offsets())
    raw = torch.cat([one, two, double(0.4, -1.0)])
    values, probs = double(*case.values), double(0.03, 0.4, 0.9)
    for what in ("log_prob", "cdf"):
        torch.testing.assert_close(getattr(mixed, what)(raw, values), getattr(case.likelihood, what)(case.raw, values))
    torch.testing.assert_close(mixed.quantile(raw, probs), case.likelihood.quantile(case.raw, probs))
    torch.testing.assert_close(mixed.mean(raw), case.likelihood.mean(case.raw))
    torch.testing.assert_close(mixed.variance(raw), case.likelihood.variance(case.raw))


@pytest.mark.parametrize(
    ("name", "low", "high"), [("2*normal", -2.0, 2.0), ("2*poisson", 1.0, 30.0), ("2*negative_binomial", 1.0, 30.0)]
)
def test_equal_components_part_when_trained_on_two_humps(name, low, high):
    found = likelihood(name)
    raw = torch.zeros(found.parameters, requires_grad=True)
    values = torch.tensor([low] * 30 + [high] * 10)
    optimizer = torch.optim.Adam([raw], 0.1)
    for _ in range(150):
        optimizer.zero_grad()
        found.loss(raw, values).mean().backward()
        optimizer.step()
    shares, parts = found.parts(raw.detach())
    means = [each.mean(part).item() for each, part in zip(found.components, parts, strict=True)]
    assert means == pytest.approx([low, high], rel=0.1)
    assert shares.exp().tolist() == pytest.approx([0.75, 0.25], abs=0.05)


def test_shares_of_classes_are_what_the_rest_follows_from():
    found, raw = Categorical(3), torch.log(double(0.2, 0.5, 0.3))
    assert found.shares(raw).tolist() == pytest.approx([0.2, 0.5, 0.3])
    assert found.log_prob(raw, double(0, 1, 2)).exp().tolist() == pytest.approx([0.2, 0.5, 0.3])
    assert found.cdf(raw, double(-1, 0, 0.5, 1, 2, 9)).tolist() == pytest.approx([0, 0.2, 0.2, 0.7, 1, 1])
    assert found.quantile(raw, double(0.1, 0.21, 0.69, 0.71, 0.999)).tolist() == [0, 1, 1, 2, 2]
    assert found.mean(raw).item() == pytest.approx(1.1)
    assert found.variance(raw).item() == pytest.approx(0.5 + 4 * 0.3 - 1.1**2)
    assert likelihood("bernoulli").shares(torch.zeros(4, 1)).tolist() == [[0.5]] * 4


RAW = torch.linspace(-1.0, 1.5, ImplicitQuantile.parameters, dtype=torch.float64)


def test_the_location_of_the_implicit_quantile_function_is_its_median():
    assert ImplicitQuantile().quantile(RAW, double(0.5)).item() == pytest.approx(RAW[0].item())


def test_moments_of_the_implicit_quantile_function_are_its_integrals():
    found = ImplicitQuantile()

    def moment(power: float, about: float) -> float:
        level = lambda p: (found.quantile(RAW, double(p)).item() - about) ** power  # noqa: E731
        return integrate.quad(level, 0.0, 1.0, limit=200)[0]

    mean = moment(1, 0.0)
    assert found.mean(RAW).item() == pytest.approx(mean, abs=1e-6)
    assert found.variance(RAW).item() == pytest.approx(moment(2, mean), rel=1e-4)


def test_the_distribution_function_inverts_the_implicit_quantile_function():
    probs = double(1e-6, 0.01, 0.3, 0.5, 0.97, 1 - 1e-6)
    found = ImplicitQuantile()
    torch.testing.assert_close(found.cdf(RAW, found.quantile(RAW, probs)), probs, rtol=1e-6, atol=1e-9)
    assert found.cdf(RAW, double(-1e9, 1e9)).tolist() == pytest.approx([0.0, 1.0])


def crps(found: Likelihood, raw: torch.Tensor, value: float) -> float:
    """By its definition: the integral of the squared distance of the distribution function from the step at ``value``."""
    grid = torch.linspace(-40.0, 40.0, 8001, dtype=torch.float64)
    step = (grid >= value).double()
    return float(np.trapezoid((found.cdf(raw, grid) - step).square(), grid))


@pytest.mark.parametrize("value", [-3.0, 0.2, 4.0])
def test_the_loss_of_the_implicit_quantile_function_is_the_crps(value):
    found = ImplicitQuantile()
    expected = crps(found, RAW, value)
    assert found.loss(RAW, double(value), deterministic=True).item() == pytest.approx(expected, rel=0.02)
    torch.manual_seed(0)
    random = found.loss(RAW.expand(20_000, -1), double(value))
    assert random.mean().item() == pytest.approx(expected, rel=0.01)
    assert random.std() > 0


def test_the_deterministic_loss_draws_nothing():
    state = torch.random.get_rng_state()
    for name in ("implicit_quantile", "student_t"):
        found = likelihood(name)
        found.loss(torch.zeros(3, found.parameters), torch.ones(3), deterministic=True)
    assert torch.equal(state, torch.random.get_rng_state())


def test_an_implicit_quantile_function_has_no_density_and_says_what_it_has():
    assert not ImplicitQuantile().has_density
    with pytest.raises(ConfigError, match="has no density: it is judged by its loss, the CRPS"):
        ImplicitQuantile().log_prob(RAW, double(0.0))


@pytest.mark.parametrize(
    "truth", [stats.norm(1.0, 2.0), stats.gamma(2.0), stats.t(3)], ids=["normal", "skewed", "heavy tails"]
)
def test_an_implicit_quantile_function_learns_distributions_of_other_shapes(truth):
    found = ImplicitQuantile()
    values = torch.from_numpy(truth.ppf((np.arange(512) + 0.5) / 512)).float()
    raw = torch.zeros(found.parameters, requires_grad=True)
    optimizer = torch.optim.Adam([raw], 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        found.loss(raw, values, deterministic=True).mean().backward()
        optimizer.step()
    probs = double(0.05, 0.25, 0.5, 0.75, 0.95)
    error = found.quantile(raw.detach(), probs).numpy() - truth.ppf(probs.numpy())
    assert np.abs(error).max() < 0.08 * truth.std()
