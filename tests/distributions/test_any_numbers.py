"""Likelihoods are safe for any raw numbers, and their quantiles never cross."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecast.distributions import LIKELIHOODS, Categorical, Likelihood, likelihood

MIXTURES = ("2*normal+student_t", "2*log_normal+tweedie", "2*negative_binomial+poisson")
ALL = [*LIKELIHOODS.values(), *map(likelihood, MIXTURES), Categorical(4)]
PROBS = torch.tensor([1e-6, 0.005, 0.1, 0.3, 0.5, 0.5001, 0.9, 0.999, 1 - 1e-6], dtype=torch.float64)
every = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)

# the far ends, where training may throw a net, and everyday numbers
numbers = st.one_of(st.floats(-1e4, 1e4, width=32), st.floats(-3, 3, width=32), st.sampled_from([-1e4, 0.0, 1e4]))
VALUES = {
    "real": st.floats(-1e4, 1e4, width=32),
    "positive": st.one_of(st.floats(2.0**-20, 2.0**50, width=32), st.just(2.0**-10)),
    "count": st.one_of(st.integers(0, 50), st.integers(0, 2**45)).map(float),
    "event": st.sampled_from([0.0, 1.0]),
    "class": st.integers(0, 3).map(float),
}


def raws(kind: Likelihood, count: int = 8):
    cells = st.lists(numbers, min_size=count * kind.parameters, max_size=count * kind.parameters)
    return cells.map(lambda found: torch.tensor(found).reshape(count, kind.parameters))


def values(kind: Likelihood, count: int = 8):
    whole = st.one_of(VALUES[kind.kind], st.just(0.0)) if kind.at_zero else VALUES[kind.kind]
    return st.lists(whole, min_size=count, max_size=count).map(torch.tensor)


@every
@given(data=st.data())
def test_loss_and_gradient_are_finite(kind, data):
    raw, value = data.draw(raws(kind)).requires_grad_(), data.draw(values(kind))
    for loss in (kind.loss(raw, value), kind.loss(raw, value, deterministic=True)):
        (slope,) = torch.autograd.grad(loss.sum(), raw)
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss).all() and torch.isfinite(slope).all()


@every
@given(data=st.data())
def test_quantiles_are_finite_and_never_cross_and_samples_are_possible_values(kind, data):
    raw = data.draw(raws(kind, 3))
    found = kind.quantile(raw.unsqueeze(1), PROBS)
    assert found.shape == (3, len(PROBS)) and torch.isfinite(found).all()
    assert (found.diff() >= -1e-6 * found[:, 1:].abs()).all()
    uniform = torch.rand(3, kind.draws, generator=torch.Generator().manual_seed(0))
    sample = kind.sample(raw, uniform)
    for drawn in (found, sample):
        assert torch.isfinite(drawn).all()
        assert not kind.discrete or torch.equal(drawn, drawn.round())
        assert kind.kind == "real" or (drawn >= 0).all()
    inner = kind.cdf(raw.unsqueeze(1), found)
    assert ((inner >= 0) & (inner <= 1)).all()
    assert torch.isfinite(kind.mean(raw)).all()


@every
def test_half_precision_is_widened_before_it_is_used(kind):
    raw = torch.ones(2, kind.parameters, dtype=torch.bfloat16)
    assert kind.loss(raw, torch.ones(2)).dtype == torch.float32
    assert kind.random(raw).dtype == torch.float32
    assert kind.mean(raw).dtype == kind.variance(raw).dtype == torch.float32


@every
def test_random_samples_follow_the_distribution_and_the_generator(kind):
    raw = torch.linspace(-0.5, 1.0, kind.parameters, dtype=torch.float64).expand(4000, -1)
    one, two = (kind.random(raw, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two) and one.shape == (4000,)
    probs = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    for cut in kind.quantile(raw[:1], probs):
        expected = kind.cdf(raw[0], cut).item()
        assert (one <= cut).double().mean().item() == pytest.approx(expected, abs=0.025)  # three standard errors


@pytest.mark.parametrize("name", ["normal", "laplace", "student_t"])
def test_a_mirrored_first_draw_mirrors_the_sample_of_a_symmetric_likelihood(name):
    kind = likelihood(name)
    raw = torch.tensor([1.5, 0.4, 0.8][: kind.parameters], dtype=torch.float64)
    uniform = torch.rand(50, kind.draws, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mirrored = uniform.clone()
    mirrored[:, 0] = 1.0 - uniform[:, 0]
    torch.testing.assert_close(kind.sample(raw, uniform) + kind.sample(raw, mirrored), torch.full((50,), 3.0).double())


@pytest.mark.parametrize("name", ["normal", "laplace", "student_t", "implicit_quantile", "2*normal+student_t"])
def test_samples_of_real_values_have_gradients(name):
    kind = likelihood(name)
    raw = torch.full((kind.parameters,), 0.3, requires_grad=True)
    kind.sample(raw, torch.full((kind.draws,), 0.7)).backward()
    assert raw.grad is not None and torch.isfinite(raw.grad).all() and (raw.grad != 0).any()


@every
def test_a_shift_of_the_locations_moves_the_forecast(kind):
    raw = torch.full((kind.parameters,), 0.2, dtype=torch.float64)
    moved = raw.clone()
    moved[list(kind.moves)] += 0.75
    if kind.kind == "real":
        torch.testing.assert_close(kind.quantile(moved, PROBS), kind.quantile(raw, PROBS) + 0.75)
    elif kind.kind in ("positive", "count"):
        assert kind.mean(moved).item() == pytest.approx(kind.mean(raw).item() * 2.117000016612675, rel=1e-6)
    elif kind.kind == "event":
        assert torch.logit(kind.mean(moved)).item() == pytest.approx(0.95)
    else:
        assert kind.moves == ()
