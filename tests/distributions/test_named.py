"""Likelihoods by name, the values they are for, and what cannot be mixed."""

from __future__ import annotations

import pytest

from forecast.distributions import KINDS, LIKELIHOODS, Categorical, Mixture, likelihood
from forecast.errors import ConfigError


def test_every_name_gives_the_likelihood_that_bears_it():
    for name in (*LIKELIHOODS, "3*normal", "2*normal+student_t", "negative_binomial+2*poisson"):
        assert likelihood(name).name == name
    assert likelihood("categorical", classes=5) == Categorical(5)


def test_a_mixture_is_read_with_blanks_and_in_any_order():
    assert likelihood(" 2 * normal + student_t ") == likelihood("normal+normal+student_t")
    assert likelihood("1*normal") == likelihood("normal")
    assert likelihood("student_t+2*normal").name == "student_t+2*normal"


@pytest.mark.parametrize("name", ["gauss", "normal+gauss", "2**normal", "", "normal+", "-1*normal"])
def test_an_unknown_likelihood_is_refused_with_the_known_ones(name):
    with pytest.raises(
        ConfigError, match=r"is not one of normal, student_t, .*categorical, nor a mixture of them such as"
    ):
        likelihood(name)


@pytest.mark.parametrize("name", ["0*normal", "11*normal", "999*normal+poisson"])
def test_a_mixture_of_nothing_or_of_very_many_is_refused(name):
    with pytest.raises(ConfigError, match="from 1 to 10 are possible"):
        likelihood(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("normal+poisson", "normal is for real values, poisson is for count values. Leave all but one kind out"),
        ("log_normal+student_t", "share one kind of values"),
        ("2*bernoulli", "a mixture of bernoulli is bernoulli again: use likelihood='bernoulli'"),
        ("2*categorical", "a mixture of categorical is categorical again"),
        ("normal+implicit_quantile", "implicit_quantile has no density that could be mixed.*use it alone"),
    ],
)
def test_what_cannot_be_mixed_is_refused_with_the_reason_and_the_way_out(name, reason):
    with pytest.raises(ConfigError, match=reason):
        likelihood(name)


@pytest.mark.parametrize("classes", [None, 0, 1])
def test_classes_are_two_at_least(classes):
    with pytest.raises(ConfigError, match="two at least"):
        likelihood("categorical", classes=classes)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("student_t", {"event", "count", "positive", "real"}),
        ("tweedie", {"event", "count", "positive"}),
        ("log_normal", {"positive"}),  # 0 has no density
        ("2*poisson", {"event", "count"}),
        ("bernoulli", {"event"}),
        ("categorical", {"class"}),
    ],
)
def test_a_likelihood_is_refused_for_values_that_it_holds_impossible(name, kinds):
    for kind in KINDS:
        if kind in kinds:
            assert likelihood(name, kind, classes=3).supports(kind)
        else:
            with pytest.raises(
                ConfigError, match=f"is for .* values, and here they are {kind}: some would be impossible"
            ):
                likelihood(name, kind, classes=3)


def test_the_refusal_names_those_that_can():
    with pytest.raises(
        ConfigError, match="Use one of normal, student_t, laplace, implicit_quantile, tweedie, poisson, "
    ):
        likelihood("bernoulli", "count")
    with pytest.raises(ConfigError, match="Use one of categorical"):
        likelihood("normal", "class")


def test_a_mixture_tells_of_its_components():
    mixed = likelihood("2*normal+student_t")
    assert isinstance(mixed, Mixture)
    assert (mixed.parameters, mixed.moves, mixed.draws) == (10, (0, 2, 4), 3)
    assert (mixed.kind, mixed.discrete, mixed.at_zero) == ("real", False, True)
    assert likelihood("2*poisson").discrete and not likelihood("2*log_normal").at_zero
    assert likelihood("log_normal+tweedie").at_zero


def test_only_events_and_classes_have_shares():
    with pytest.raises(ConfigError, match="likelihood='poisson' is for count values, which are no classes"):
        likelihood("poisson").shares(None)
