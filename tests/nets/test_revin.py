"""Reversible instance normalisation: there and back, what it changes, which nets can have it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from forecast import ConfigError, Forecaster, Training
from forecast.models import LSTM, create
from forecast.nets.facts import Facts
from forecast.nets.regression import whole_net
from forecast.nets.revin import Reversible, ReversibleForking, ReversibleLikelihood, reversible
from forecast.training.neural import Neural
from forecast.windows.gather import Batch
from tests.conftest import seasonal_frame

REVIN = Training(max_steps=2, batch_size=8, cycles=1, validations=1, revin=True, learning_rate=0.05)
FACTS = Facts(input_size=8, h=3)


class Last(nn.Module):
    """The last value of the past, and one more: quantiles in order."""

    def forward(self, batch: Batch) -> torch.Tensor:
        steps = torch.arange(2.0)
        return (batch.past[:, -1:, None] + steps).expand(-1, 3, -1)


def window(rows: int = 5) -> Batch:
    past, future = torch.randn(rows, 8), torch.randn(rows, 3)
    observed = (torch.rand(rows, 8) > 0.2).float()
    return Batch(past * observed, observed, future, torch.ones(rows, 3))


def moved(net: nn.Module, log_gain: float = 0.7, shift: float = -1.3) -> nn.Module:
    with torch.no_grad():
        net.log_gain.fill_(log_gain)
        net.shift.fill_(shift)
    return net


@pytest.mark.parametrize("name", ["lstm", "segrnn", "dlinear", "deepar", "mqrnn"])
def test_a_net_begins_as_it_is_without(name):
    spec = create(name)
    torch.manual_seed(0)
    plain = whole_net(spec)(FACTS).eval()
    torch.manual_seed(0)
    wrapped = whole_net(spec, revin=True)(FACTS).eval()
    batch = Batch(torch.randn(4, 8), None)
    torch.manual_seed(1)
    before = plain(batch)
    torch.manual_seed(1)
    torch.testing.assert_close(wrapped(batch), before, rtol=0, atol=0)


def test_what_the_map_did_to_the_window_is_taken_back_of_the_forecast():
    net = moved(Reversible(Last()))
    batch = window()
    seen = net.mapped(batch)
    torch.testing.assert_close(net.back(seen.past) * batch.observed, batch.past)
    assert (seen.past[batch.observed == 0] == 0).all()
    output = net(Batch(batch.past, None))
    torch.testing.assert_close(output[..., 0], batch.past[:, -1:].expand(-1, 3))
    torch.testing.assert_close(output[..., 1] - output[..., 0], torch.full((5, 3), math.exp(-0.7)))


def test_quantiles_stay_in_order_whatever_was_learned():
    for log_gain in (-3.0, 0.0, 3.0):
        output = moved(Reversible(Last()), log_gain, 5.0)(window()._replace(observed=None))
        assert (output[..., 1] > output[..., 0]).all()


def test_the_likelihood_is_that_of_the_values_before_the_map():
    net = whole_net(create("deepar"), revin=True)(Facts(8, 3))
    assert isinstance(net, ReversibleLikelihood)
    moved(net).eval()
    batch = window()._replace(observed=None, future_observed=None)
    mapped = net.net.own_loss(net.mapped(batch))
    own = net.own_loss(batch)
    # the density of x is the gain times that of gain * x + shift
    torch.testing.assert_close(torch.exp(-own.error), torch.exp(-mapped.error) * math.exp(0.7))
    torch.testing.assert_close(own.weight, mapped.weight)


def test_forks_are_judged_in_window_units():
    net = whole_net(create("mqrnn"), revin=True)(Facts(8, 3, channels=2, probs=(0.1, 0.5, 0.9)))
    assert isinstance(net, ReversibleForking)
    moved(net)
    batch = window()
    torch.manual_seed(0)
    forks = net.forked(batch)
    torch.manual_seed(0)
    plain = net.net.forked(batch)
    known = forks.weight > 0
    torch.testing.assert_close(forks.future[known], plain.future[known], atol=1e-5, rtol=1e-5)
    assert (forks.future[~known] == 0).all()


def test_the_map_is_learned_saved_and_loaded(tmp_path):
    spec = LSTM(input_size=12, hidden_size=4)
    fitted = Forecaster(spec, h=2, training=REVIN, progress=False).fit(seasonal_frame(2, 40))
    net = fitted._fitted["lstm"].net
    assert isinstance(net, Reversible) and net.log_gain.item() != 0.0 and net.shift.item() != 0.0
    again = Forecaster.load(fitted.save(tmp_path / "m"))
    assert again.predict(level=[80]).equals(fitted.predict(level=[80]))
    assert again.models["lstm"].training.revin


@pytest.mark.parametrize(
    ("spec", "options", "why"),
    [
        (create("es_rnn"), {}, "levels"),
        (create("cold_start"), {}, "common to all"),
        (LSTM(), {"stateful": True}, "whole series"),
    ],
)
def test_a_net_that_has_no_windows_of_its_own_units_is_refused_before_training(spec, options, why):
    with pytest.raises(ConfigError, match=f"revin=true.*{why}"):
        Forecaster(spec, training=Training(revin=True, **options))


def test_a_loss_in_units_of_its_own_is_refused():
    net = create("es_rnn").build(Facts(8, 3, series=1))
    with pytest.raises(ConfigError, match="units of its own"):
        reversible(net)


def test_it_is_off_by_default():
    assert not Training().revin
    assert not isinstance(whole_net(Neural(LSTM()).architecture)(FACTS), Reversible)
