"""Likelihood heads: any net that forecasts numbers forecasts the parameters of a likelihood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecast.distributions import likelihood
from forecast.errors import ConfigError
from forecast.models import as_model, class_named, create, entries
from forecast.nets.facts import Facts, likelihood_of
from forecast.nets.heads import Shift, head
from forecast.nets.likely import Likely, log_positive
from forecast.nets.regression import whole_net
from forecast.nets.scaling import scale_window
from forecast.nets.segrnn import SegRNN
from forecast.training.settings import Training
from forecast.windows.gather import Batch

FACTS = Facts(input_size=12, h=4, seasons=(4,))
NETS = [
    name for name, entry in entries().items() if entry.is_net and hasattr(class_named(entry.class_name)(), "likelihood")
]
HEADED = [name for name in NETS if likelihood_of(replace(create(name), likelihood="normal"))]


def windows(size: int = 5) -> Batch:
    generator = torch.Generator().manual_seed(0)
    past, future = torch.rand(size, 12, generator=generator), torch.rand(size, 4, generator=generator)
    return Batch(past, None, future, zero=torch.full((size, 1), -3.0), unit=torch.full((size, 1), 0.5))


def test_all_nets_but_those_with_a_loss_of_their_own_have_likelihood_heads():
    assert {"segrnn", "lstm", "gru", "rnn", "seq2seq", "seq2seq_attention", "mlp", "dlinear", "lstnet", "xlstm"} <= set(
        HEADED
    )
    assert "deepar" in NETS and "deepar" not in HEADED  # its likelihood is its own


@pytest.mark.parametrize("name", HEADED)
@pytest.mark.parametrize("chosen", ["student_t", "negative_binomial", "2*normal", "implicit_quantile"])
def test_every_net_gives_the_parameters_of_every_kind_of_likelihood(name, chosen):
    architecture = replace(create(name), likelihood=chosen, input_size=12)
    facts = replace(FACTS, likelihood=chosen)
    net = whole_net(architecture)(facts)
    batch = scale_window(windows()).batch
    cells = net.own_loss(batch)
    assert cells.error.shape == cells.weight.shape == (5, 4) and torch.isfinite(cells.error).all()
    cells.error.sum().backward()
    raw = net(batch._replace(future=None))
    assert raw.shape == (5, 4, likelihood(chosen).parameters)
    quantiles = likelihood(chosen).quantile(
        raw.detach().unsqueeze(-2), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    )
    assert (quantiles.diff(dim=-1) >= 0).all()


def test_what_is_added_to_a_forecast_moves_the_locations_alone():
    shift = Shift(replace(FACTS, likelihood="student_t"))
    moved = shift(torch.zeros(2, 4, 3), torch.ones(2, 4, 1))
    assert moved[..., 0].eq(1).all() and moved[..., 1:].eq(0).all()
    both = Shift(replace(FACTS, likelihood="2*normal"))
    raw = torch.zeros(1, 4, likelihood("2*normal").parameters)
    assert int(both(raw, torch.ones(1, 4, 1)).sum()) == 4 * 2  # each component's location
    plain = head(FACTS)
    assert plain(torch.zeros(1, 4, 1), torch.ones(1, 4, 1)).eq(1).all()


@pytest.mark.parametrize("units", [1.0, 1000.0])
def test_the_mean_of_a_count_is_the_level_that_the_location_stands_for(units):
    """A net that forecasts the last value, at levels that are well above zero."""

    class Last(torch.nn.Module):
        def forward(self, batch: Batch) -> torch.Tensor:
            return torch.zeros(len(batch.past), 4, 2)

    counts = units * torch.tensor([[30.0, 50.0, 40.0, 60.0], [100.0, 90.0, 80.0, 70.0]])
    batch = scale_window(Batch(counts, None, zero=torch.zeros(2, 1), unit=torch.ones(2, 1))).batch
    net = Likely(Last(), replace(FACTS, input_size=4, likelihood="negative_binomial"))
    means = likelihood("negative_binomial").mean(net(batch))
    assert means[:, 0].tolist() == pytest.approx([60.0 * units, 70.0 * units], rel=0.02)


def test_a_mean_is_positive_whatever_the_location():
    levels = torch.tensor([-1e4, -10.0, -1.0, 0.0, 1.0, 10.0, 1e4], dtype=torch.float64, requires_grad=True)
    logs = log_positive(levels)
    assert torch.isfinite(logs).all() and (logs.diff() > 0).all()
    assert logs[-3:].exp().tolist() == pytest.approx([1.0, 10.0, 1e4], rel=0.01)
    logs.sum().backward()
    assert (levels.grad > 0).all() and torch.isfinite(levels.grad).all()


def test_windows_without_any_count_are_windows_like_others():
    quiet = Batch(
        torch.zeros(3, 12),
        None,
        torch.tensor([[0.0, 1.0, 0.0, 0.0]]).expand(3, 4),
        zero=torch.zeros(3, 1),
        unit=torch.ones(3, 1),
    )
    scaled = scale_window(quiet, flat=True)
    assert scaled.scale.eq(1).all()
    net = whole_net(SegRNN(likelihood="poisson", hidden_size=4, input_size=12))(replace(FACTS, likelihood="poisson"))
    cells = net.own_loss(scaled.batch)
    assert torch.isfinite(cells.error).all() and cells.error[:, 1].mean() > cells.error[:, 0].mean()


def test_unknown_cells_of_the_future_weigh_nothing_and_do_no_harm():
    batch = windows()._replace(observed=torch.ones(5, 12), future_observed=torch.zeros(5, 4))
    net = whole_net(SegRNN(likelihood="log_normal", hidden_size=4, input_size=12))(
        replace(FACTS, likelihood="log_normal", channels=2)
    )
    cells = net.own_loss(scale_window(batch).batch)
    assert cells.weight.eq(0).all() and torch.isfinite(cells.error).all()


def test_classes_are_read_by_indicators_and_unknown_rows_by_none():
    facts = replace(FACTS, likelihood="categorical", classes=(2.0, 5.0, 9.0), channels=2)
    net = whole_net(SegRNN(likelihood="categorical", hidden_size=4, input_size=12))(facts)
    past = torch.tensor([[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]]).float()
    batch = Batch(past, torch.ones(1, 12), torch.zeros(1, 4), torch.ones(1, 4))
    logits = net(batch)
    assert logits.shape == (1, 4, 3)
    hidden = net(batch._replace(observed=torch.zeros(1, 12)))
    blank = net(batch._replace(past=torch.zeros(1, 12), observed=torch.zeros(1, 12)))
    assert torch.equal(hidden, blank) and not torch.equal(logits, hidden)


@pytest.mark.parametrize(
    ("model", "training", "reason"),
    [
        (SegRNN(likelihood="normal", quantiles=(0.1, 0.9)), Training(), "quantiles too"),
        (create("lstm", likelihood="normal"), Training(stateful=True), "stateful=true"),
        (SegRNN(likelihood="normal"), Training(revin=True), "revin=true"),
        (SegRNN(likelihood="categorical", decoding="recursive"), Training(), "reads its own forecasts"),
        (create("seq2seq", likelihood="categorical"), Training(), "reads its own forecasts"),
        (create("mlp", likelihood="categorical"), Training(), "reads values alone"),
        (SegRNN(likelihood="gauss"), Training(), "gauss"),
    ],
)
def test_a_head_that_makes_no_sense_is_refused_with_the_reason(model, training, reason):
    with pytest.raises(ConfigError, match=reason):
        as_model(model, "net", training)


@pytest.mark.parametrize("name", ["mqrnn", "es_rnn", "cold_start"])
def test_nets_without_likelihoods_say_why(name):
    with pytest.raises(ConfigError, match=r"has no 'likelihood'.*(judged|units)"):
        create(name, likelihood="normal")


def test_numbers_in_the_head_are_those_that_the_likelihood_reads():
    for chosen in ("normal", "zero_inflated_negative_binomial", "tweedie", "bernoulli"):
        facts = replace(FACTS, likelihood=chosen)
        assert facts.outputs == likelihood(chosen).parameters
    assert replace(FACTS, likelihood="categorical", classes=(0.0, 1.0, 2.0)).outputs == 3
    assert np.isfinite(FACTS.outputs) and FACTS.outputs == 1
