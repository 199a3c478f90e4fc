"""DeepAR: a likelihood at every row in one pass, and sample paths that are what that pass says they should be."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import StudentT
from torch.nn import functional

from forecast import Forecaster, Training
from forecast.errors import ConfigError
from forecast.nets import deepar
from forecast.nets.deepar import DeepAR
from forecast.nets.facts import Facts
from forecast.nets.own_loss import OwnLoss
from forecast.nets.samples import quantiles_of, uniforms
from forecast.windows.gather import Batch
from tests.conftest import seasonal_frame

B, L, H = 3, 12, 7
PLAIN, MASKED = "plain", "masked"


def net_of(facts: Facts, **options):
    torch.manual_seed(0)
    net = DeepAR(**{"hidden_size": 6, "num_samples": 10, **options}).build(facts)
    with torch.no_grad():  # shares that differ, so that none can stand in for another
        net.share.copy_(torch.linspace(-0.2, 0.5, len(net.share)))
    return net


def batch_of(kind: str) -> Batch:
    """Windows with a future; padded at the front, a gap in the middle, the last row or a future one unknown."""
    generator = torch.Generator().manual_seed(1)
    past, future = torch.randn(B, L, generator=generator), torch.randn(B, H, generator=generator)
    if kind == PLAIN:
        return Batch(past, None, future, None)
    observed, known = torch.ones(B, L), torch.ones(B, H)
    observed[0, :5] = 0
    observed[1, 6:9] = 0
    observed[2, -1] = 0
    known[1, 2] = 0
    return Batch(past * observed, observed, future * known, known)


def facts_of(kind: str, seasons=(3, 5), probs=()) -> Facts:
    return Facts(L, H, channels=1 if kind == PLAIN else 2, seasons=seasons, probs=probs)


def calls_of(net) -> list[tuple[int, int]]:
    """Rows and steps of every call of the recurrent layer from now on."""
    calls = []
    net.rnn.register_forward_pre_hook(lambda _module, given: calls.append(tuple(given[0].shape[:2])))
    return calls


def by_hand(net, values: list[float], known: list[bool]) -> list[tuple[float, float]]:
    """Negative log-likelihood and weight of the value after each row of one window, row by row, number by number."""
    masked, cells, state = net.facts.channels == 2, [], None
    share = net.share.tolist()
    for t in range(len(values) - 1):
        seen = [values[i] for i in range(t + 1) if known[i]]
        mean, latest = (sum(seen) / len(seen), seen[-1]) if seen else (0.0, 0.0)
        lags, changes = [], []
        for m in net.seasons:
            there, before = t + 1 - m >= 0 and known[t + 1 - m], t - m >= 0 and known[t - m]
            lags.append(values[t + 1 - m] if there else latest)
            changes.append(values[t + 1 - m] - values[t - m] if there and before else 0.0)
        row = [values[t] - mean if known[t] else 0.0, *([float(known[t])] if masked else [])]
        row += [lag - mean for lag in lags] + changes
        feature, state = net.rnn(torch.tensor([[row]]), state)
        raw = net.project(feature[0, 0])
        blend = latest + share[0] * (mean - latest)
        if len(share) > 1:
            half = len(net.seasons)
            blend += sum(s * (lag - latest) for s, lag in zip(share[1 : half + 1], lags, strict=True))
            blend += sum(s * change for s, change in zip(share[half + 1 :], changes, strict=True))
        scale, freedom = functional.softplus(raw[1]) + 1e-3, 2 + functional.softplus(raw[2])
        density = StudentT(freedom, raw[0] + blend, scale).log_prob(torch.tensor(values[t + 1]))
        cells.append((-density.item(), float(known[t + 1] and bool(seen))))
    return cells


@pytest.mark.parametrize("kind", [PLAIN, MASKED])
@pytest.mark.parametrize("options", [{}, {"cell": "gru", "num_layers": 2}, {"seasonal_skip": False}])
def test_the_loss_is_the_negative_log_likelihood_of_every_known_value_after_a_known_one(kind, options):
    net, batch = net_of(facts_of(kind), **options), batch_of(kind)
    assert isinstance(net, OwnLoss)
    cells = net.own_loss(batch)
    assert cells.error.shape == cells.weight.shape == (B, L + H - 1)
    whole = torch.cat([batch.past, batch.future], 1)
    known = torch.ones_like(whole) if kind == PLAIN else torch.cat([batch.observed, batch.future_observed], 1)
    for window in range(B):
        expected = torch.tensor(by_hand(net, whole[window].tolist(), [v > 0 for v in known[window].tolist()]))
        torch.testing.assert_close(cells.error[window], expected[:, 0], atol=1e-5, rtol=1e-4)
        assert torch.equal(cells.weight[window], expected[:, 1])


@pytest.mark.parametrize("kind", [PLAIN, MASKED])
def test_validation_judges_the_future_alone_and_nothing_is_random(kind):
    net, batch = net_of(facts_of(kind), dropout=0.5), batch_of(kind)
    whole = net_of(facts_of(kind)).own_loss(batch)
    judged = net.eval().own_loss(batch)
    assert torch.equal(judged.weight, torch.ones(B, H) if kind == PLAIN else batch.future_observed)
    torch.testing.assert_close(judged.error, whole.error[:, L - 1 :])
    assert torch.equal(net.own_loss(batch).error, judged.error)


def test_the_likelihood_of_the_past_is_not_told_where_the_window_ends():
    """Window units are zero at the last value. Were that level used, a row of the past would know what follows it."""
    net, batch = net_of(facts_of(PLAIN)), batch_of(PLAIN)
    moved = batch._replace(past=batch.past + 3.0, future=batch.future + 3.0)
    torch.testing.assert_close(net.own_loss(moved).error, net.own_loss(batch).error, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(net.paths(moved), net.paths(batch) + 3.0, atol=1e-4, rtol=1e-4)


def test_training_calls_the_layer_once_and_prediction_reads_the_past_once():
    net, batch = net_of(facts_of(PLAIN)), batch_of(PLAIN)
    calls = calls_of(net)
    net.own_loss(batch)
    assert calls == [(B, L + H - 1)]
    calls.clear()
    net.eval()(batch)
    assert calls == [(B, L)] + [(B * 10, 1)] * (H - 1)


@pytest.mark.parametrize("kind", [PLAIN, MASKED])
@pytest.mark.parametrize("name", ["student_t", "normal", "laplace", "normal+student_t", "implicit_quantile"])
@pytest.mark.parametrize("options", [{}, {"cell": "gru", "num_layers": 2}])
def test_every_path_is_drawn_from_the_likelihood_that_its_own_beginning_gives(kind, name, options):
    """Fed a whole path as if it were true, one pass over past and path says what each step should have drawn."""
    net, batch = net_of(facts_of(kind), likelihood=name, **options).eval(), batch_of(kind)
    paths = net.paths(batch)
    assert paths.shape == (B, 10, H)
    numbers = uniforms(10, H, net.likelihood.draws)
    for sample in range(10):
        path = paths[:, sample]
        observed = None if kind == PLAIN else torch.cat([batch.observed, torch.ones(B, H)], 1)[:, :-1]
        rows = net._rows(Batch(torch.cat([batch.past, path], 1)[:, :-1], observed))
        raw = net._raw(net.rnn(torch.stack(net._inputs(rows), -1))[0], rows)[:, L - 1 :]
        torch.testing.assert_close(path, net.likelihood.sample(raw, numbers[:, sample]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [PLAIN, MASKED])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"cell": "gru"}, {"seasonal_skip": False}])
def test_paths_without_gradients_are_those_with_gradients(kind, options):
    net, batch = net_of(facts_of(kind), **options).eval(), batch_of(kind)
    slow = net.paths(batch)
    assert slow.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(net.paths(batch), slow.detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [PLAIN, MASKED])
def test_a_forecast_is_the_same_alone_in_a_batch_and_in_blocks_of_any_size(kind, monkeypatch):
    probs = (0.1, 0.5, 0.9)
    net, batch = net_of(facts_of(kind, probs=probs)).eval(), batch_of(kind)
    together = net(batch)
    for window in range(B):
        rows = slice(window, window + 1)
        alone = Batch(batch.past[rows], None if batch.observed is None else batch.observed[rows])
        torch.testing.assert_close(net(alone), together[rows], atol=1e-5, rtol=1e-5)
    for most in (1, 20):
        monkeypatch.setattr(deepar, "PATHS_ON_CPU", most)
        torch.testing.assert_close(net(batch), together, atol=1e-5, rtol=1e-5)


def test_a_forecast_is_the_ordered_quantiles_of_the_paths_whatever_the_global_seed():
    probs = (0.005, 0.1, 0.5, 0.9, 0.995)
    net, batch = net_of(facts_of(PLAIN, probs=probs), num_samples=40).eval(), batch_of(PLAIN)
    torch.manual_seed(1)
    one = net(batch)
    torch.manual_seed(2)
    assert torch.equal(one, net(batch))
    torch.testing.assert_close(one, quantiles_of(net.paths(batch), probs))
    assert (one.diff(dim=-1) >= 0).all()
    median = net_of(facts_of(PLAIN), num_samples=40).eval()(batch)
    torch.testing.assert_close(median, one[..., 2:3])
    assert net.paths(batch, 6).shape == (B, 6, H)


def test_the_mean_path_of_a_linear_net_is_its_forecast_without_noise():
    """Antithetic paths cancel: with the recurrent layer silenced the net is linear, and the mean is exact."""
    net = net_of(facts_of(PLAIN), likelihood="normal").eval()
    with torch.no_grad():
        net.project.weight.zero_()
    batch = batch_of(PLAIN)
    values = batch.past[0].tolist()
    share, bias = net.share.tolist(), net.project.bias[0].item()
    for _ in range(H):
        mean, latest = sum(values) / len(values), values[-1]
        lags = [values[-m] - latest for m in (3, 5)]
        changes = [values[-m] - values[-m - 1] for m in (3, 5)]
        drawn = zip(share, [mean - latest, *lags, *changes], strict=True)
        values.append(latest + bias + sum(weight * part for weight, part in drawn))
    torch.testing.assert_close(net.paths(batch)[0].mean(0), torch.tensor(values[L:]), atol=1e-4, rtol=1e-4)


def test_without_a_share_in_anything_a_silent_net_samples_a_random_walk():
    net = net_of(Facts(L, H), likelihood="normal", num_samples=1000).eval()
    with torch.no_grad():
        net.share.zero_()
        net.project.weight.zero_()
        net.project.bias.copy_(torch.tensor([0.0, math.log(math.expm1(0.5 - 1e-3))]))
    paths = net.paths(Batch(torch.randn(1, L), None))[0]
    expected = 0.5 * torch.arange(1, H + 1).sqrt()
    torch.testing.assert_close(paths.std(0), expected, atol=0.0, rtol=0.03)
    later = torch.corrcoef(paths.diff(dim=1).T)  # steps of a path are independent of those before
    assert (later - torch.eye(H - 1)).abs().max() < 0.12


@pytest.fixture(scope="module")
def autoregression():
    """An AR(1) with coefficient 0.5 and unit noise, and the net fitted to it for a few seconds.

    Half of the way back to the mean in a step, so that the mean of a window is close to that of the process.
    """
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((20, 200))
    y = np.zeros_like(noise)
    for t in range(200):
        y[:, t] = 0.5 * (y[:, t - 1] if t else 0.0) + noise[:, t]
    stamps = pd.date_range("2020-01-01", periods=200, freq="D")
    frames = [pd.DataFrame({"unique_id": i, "ds": stamps, "y": row}) for i, row in enumerate(y)]
    model = DeepAR(input_size=48, hidden_size=12, likelihood="normal", num_samples=400)
    training = Training(max_steps=200, batch_size=64, learning_rate=5e-3, validations=1, cycles=1)
    fitted = Forecaster({"net": model}, h=6, freq="D", season_length=1, training=training, progress=False)
    return fitted.fit(pd.concat(frames)), y


def test_quantiles_after_training_are_those_of_the_process(autoregression):
    fitted, y = autoregression
    out = fitted.predict(quantiles=[0.1, 0.5, 0.9])
    found = out[[f"net-q-{q}" for q in (0.1, 0.5, 0.9)]].to_numpy().reshape(20, 6, 3)
    power = 0.5 ** np.arange(1, 7)
    centre = y[:, -1:] * power
    spread = np.sqrt((1 - power**2) / (1 - 0.5**2))
    truth = centre[..., None] + spread[:, None] * np.array([-1.2816, 0.0, 1.2816])
    errors = found - truth
    assert np.abs(errors.mean(axis=0)).max() < 0.15  # in standard deviations of the noise
    assert np.sqrt(np.square(errors).mean()) < 0.35
    width = found[..., 2] - found[..., 0]
    np.testing.assert_allclose(width.mean(0), 2 * 1.2816 * spread, rtol=0.08)


def test_intervals_come_from_the_samples_and_beyond_the_trained_quantiles_the_way_out_is_named(autoregression):
    fitted, _ = autoregression
    out = fitted.predict(level=[80, 95])
    columns = ["net-lo-95", "net-lo-80", "net", "net-hi-80", "net-hi-95"]
    assert (np.diff(out[columns], axis=1) > 0).all()
    assert fitted._fitted["net"].intervals is None
    with pytest.raises(ConfigError, match=r"outside the trained 0.005 … 0.995"):
        fitted.predict(level=[99.9])


def test_rounded_products_move_quantiles_by_less_than_a_tenth_of_their_sampling_error(autoregression):
    """A hundred paths: what quantiles differ by from one seed to another, against what bfloat16 changes in them."""
    net = copy.deepcopy(autoregression[0]._fitted["net"].net)
    net.num_samples, probs = 100, (0.1, 0.25, 0.5, 0.75, 0.9)
    batch = Batch(torch.randn(40, 48, generator=torch.Generator().manual_seed(0)), None)
    with torch.inference_mode():
        seeded = torch.stack([quantiles_of(net.paths(batch, 100, seed), probs) for seed in range(12)])
        exact = quantiles_of(net.paths(batch), probs)
        net.precision = "bf16"
        rounded = quantiles_of(net.paths(batch), probs)
    error = (rounded - exact).square().mean((0, 1)).sqrt()
    assert (error > 0).all()  # it does round
    assert (error < 0.1 * seeded.std(0).mean((0, 1))).all()


def test_without_quantiles_the_median_is_forecast_and_intervals_are_calibrated():
    model = DeepAR(input_size=12, hidden_size=4, num_samples=10, quantiles=())
    training = Training(max_steps=2, batch_size=8, validations=1)
    fitted = Forecaster({"net": model}, h=3, training=training, progress=False).fit(seasonal_frame(2, 50))
    assert fitted._fitted["net"].facts.outputs == 1
    assert fitted._fitted["net"].intervals is not None
    assert np.isfinite(fitted.predict(level=[80])[["net", "net-lo-80", "net-hi-80"]]).all(axis=None)


@pytest.mark.parametrize("kind", [PLAIN, MASKED])
def test_half_precision_layers_keep_the_location_in_full_precision(kind):
    net, batch = net_of(facts_of(kind)), batch_of(kind)
    with torch.autocast("cpu", torch.bfloat16):
        loose = net.own_loss(batch).error
    assert loose.dtype == torch.float32
    torch.testing.assert_close(loose, net.own_loss(batch).error, atol=0.05, rtol=0.05)


def test_what_cannot_be_built_is_refused_by_name():
    for options, hint in [
        ({"hidden_size": 0, "num_layers": 0}, "hidden_size=0, num_layers=0"),
        ({"num_samples": 1}, "num_samples=1: from 2 to 10,000"),
        ({"num_samples": 10**5}, "num_samples=100000"),
        ({"likelihood": "poisson"}, "likelihood='poisson' is for count values, and here they are real"),
        ({"cell": "elman"}, "cell='elman'"),
        ({"sampling_precision": "16"}, "sampling_precision='16' is not one of auto, 32, bf16"),
    ]:
        with pytest.raises(ConfigError, match=hint):
            replace(DeepAR(), **options).build(Facts(L, H))


def test_a_likelihood_needs_a_future():
    with pytest.raises(ValueError, match="future"):
        net_of(Facts(L, H)).own_loss(Batch(torch.randn(B, L), None))
