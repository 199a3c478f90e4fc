"""Likelihoods: densities against scipy, samples that follow them, safe for any raw numbers."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecast import distributions
from forecast.distributions import LEAST_SCALE, LIKELIHOODS, Normal, likelihood
from forecast.errors import ConfigError

PROBS = (0.01, 0.1, 0.4, 0.5, 0.75, 0.98)


def raw_of(name: str, loc: float, scale: float, freedom: float = 5.0) -> torch.Tensor:
    """The raw numbers that mean these parameters."""
    numbers = [loc, np.log(np.expm1(scale - LEAST_SCALE)), np.log(np.expm1(freedom - 2.0))]
    return torch.tensor(numbers[: LIKELIHOODS[name].parameters], dtype=torch.float64)


def reference(name: str, loc: float, scale: float, freedom: float = 5.0):
    frozen = {"normal": stats.norm, "laplace": stats.laplace}
    return stats.t(freedom, loc, scale) if name == "student_t" else frozen[name](loc, scale)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("freedom", [2.3, 5.0, 40.0])
def test_the_log_density_is_that_of_scipy(name, freedom):
    value = np.array([-30.0, 1.0, 1.5, 2.0, 80.0])
    found = likelihood(name).log_prob(raw_of(name, 1.5, 0.7, freedom), torch.tensor(value))
    np.testing.assert_allclose(found, reference(name, 1.5, 0.7, freedom).logpdf(value), rtol=1e-9)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_mean_is_the_location(name):
    assert likelihood(name).mean(raw_of(name, 1.5, 0.7)).item() == pytest.approx(1.5)


@pytest.mark.parametrize("name", ["normal", "laplace"])
def test_quantiles_in_closed_form_are_those_of_scipy(name):
    found = likelihood(name).quantile(raw_of(name, 1.5, 0.7), torch.tensor(PROBS, dtype=torch.float64))
    np.testing.assert_allclose(found, reference(name, 1.5, 0.7).ppf(PROBS), rtol=1e-9)


def test_a_likelihood_without_closed_quantiles_says_where_to_get_them():
    with pytest.raises(ConfigError, match="student_t has no quantiles in closed form: take them from samples"):
        likelihood("student_t").quantile(raw_of("student_t", 0.0, 1.0), torch.tensor(0.5))


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("freedom", [2.3, 5.0, 40.0])
def test_samples_from_evenly_spread_numbers_have_the_quantiles_of_scipy(name, freedom):
    kind = likelihood(name)
    cells = (torch.arange(500, dtype=torch.float64) + 0.5) / 500
    uniform = torch.cartesian_prod(*[cells] * kind.draws).reshape(-1, kind.draws)
    samples = kind.sample(raw_of(name, 1.5, 0.7, freedom), uniform)
    np.testing.assert_allclose(
        np.quantile(samples, PROBS, method="hazen"), reference(name, 1.5, 0.7, freedom).ppf(PROBS), rtol=5e-3, atol=5e-3
    )


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_random_samples_follow_the_density_and_the_generator(name):
    kind, raw = likelihood(name), raw_of(name, 1.5, 0.7).expand(4000, -1)
    one, two = (kind.random(raw, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two) and one.shape == (4000,)
    assert stats.kstest(one, reference(name, 1.5, 0.7).cdf).pvalue > 0.01


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_mirrored_first_draw_mirrors_the_sample_and_a_larger_one_raises_it(name):
    kind, raw = likelihood(name), raw_of(name, 1.5, 0.7)
    uniform = torch.rand(50, kind.draws, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mirrored, larger = uniform.clone(), uniform.clone()
    mirrored[:, 0] = 1.0 - uniform[:, 0]
    larger[:, 0] = 0.5 + 0.5 * uniform[:, 0]
    torch.testing.assert_close(kind.sample(raw, uniform) + kind.sample(raw, mirrored), torch.full((50,), 3.0).double())
    assert (kind.sample(raw, larger) > kind.sample(raw, uniform)).all()


numbers = st.floats(-1e4, 1e4, width=32)


@given(raw=st.lists(numbers, min_size=3, max_size=3), value=numbers, u=st.tuples(*[st.floats(1e-3, 0.999)] * 2))
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_any_raw_numbers_give_finite_densities_samples_and_gradients(name, raw, value, u):
    kind = likelihood(name)
    numbers = torch.tensor(raw[: kind.parameters], requires_grad=True)
    density = kind.log_prob(numbers, torch.tensor(value))
    sample = kind.sample(numbers, torch.tensor(u[: kind.draws]))
    (slope,) = torch.autograd.grad(density + sample, numbers)
    assert torch.isfinite(density) and torch.isfinite(sample) and torch.isfinite(slope).all()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_half_precision_is_widened_before_it_is_used(name):
    raw = raw_of(name, 1.5, 0.7).to(torch.bfloat16)
    assert likelihood(name).log_prob(raw, torch.zeros(())).dtype == torch.float32
    assert likelihood(name).random(raw).dtype == torch.float32


def test_an_unknown_likelihood_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="likelihood='gauss' is not one of normal, student_t, laplace"):
        likelihood("gauss")


def test_a_likelihood_is_refused_for_values_that_it_holds_impossible(monkeypatch):
    class Counts(Normal):
        name: ClassVar[str] = "counts"
        kind: ClassVar[str] = "count"

    monkeypatch.setattr(distributions, "LIKELIHOODS", MappingProxyType({**LIKELIHOODS, "counts": Counts()}))
    assert likelihood("counts", "count") == Counts()
    with pytest.raises(
        ConfigError, match="'counts' is for count values, and here they are positive.*normal, student_t"
    ):
        likelihood("counts", "positive")
    assert [kind for kind in distributions.KINDS if Normal().supports(kind)] == ["count", "positive", "real"]
