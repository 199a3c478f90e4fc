"""ES-RNN: what it reads, what it forecasts, what it is judged on, all against the published steps written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from forecast import Forecaster, Training
from forecast.errors import ConfigError
from forecast.nets.dilated_blocks import DilatedBlocks
from forecast.nets.esrnn import ESRNN, published_dilations
from forecast.nets.facts import Facts
from forecast.nets.own_loss import OwnLoss
from forecast.resources import conf_dir
from forecast.windows.gather import Batch
from tests.conftest import seasonal_frame
from tests.nets.cells import run

B, T, H = 4, 30, 7
SEASONS = (3, 5)
QUICK = Training(max_steps=3, batch_size=8, cycles=1, validations=1)


def net_of(seasons: tuple[int, ...] = SEASONS, positive: bool = True, probs: tuple[float, ...] = (), **options):
    torch.manual_seed(0)
    facts = Facts(T, H, channels=2, seasons=seasons, probs=probs, series=5, positive=positive)
    net = ESRNN(
        **{"hidden_size": 6, "noise": 0.0, "level_penalty": 0.0, "series_rate": 1.0, "factor_rate": 1.0, **options}
    ).build(facts)
    with torch.no_grad():
        net.smoothing.table.normal_(std=0.4)
    return net


def batch_of(masked: bool = False) -> Batch:
    torch.manual_seed(1)
    past, future = torch.rand(B, T) + 0.5, torch.rand(B, H) + 0.5
    observed = known = None
    if masked:
        observed, known = torch.ones(B, T), torch.ones(B, H)
        observed[0, :9] = 0
        observed[1, 20:23] = 0
        known[2, 4] = 0
        past, future = past * observed, future * known
    return Batch(past, observed, future, known, 0.5, torch.tensor([0, 3, -1, 2]), torch.tensor([0, 7, 4, 100]))


@pytest.mark.parametrize("dilations", [(1, 2), (1, 2, 4, 8), (1, 4, 3, 6), (2, 3, 5), (1, 50, 7, 7, 2)])
def test_blocks_equal_their_layers_written_out_with_shortcuts(dilations):
    torch.manual_seed(2)
    blocks, x = DilatedBlocks(2, 3, dilations), torch.randn(2, 13, 2)
    expected = x
    for start in range(0, len(dilations), 2):
        inside = expected
        for number in range(start, min(start + 2, len(dilations))):
            inside = run("lstm", blocks.layers[number], inside, dilations[number])
        expected = inside + expected if start else inside
    torch.testing.assert_close(blocks(x), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(blocks.last(x), expected[:, -1], atol=1e-5, rtol=1e-5)


def published_forecast(net, row: int, past: torch.Tensor, table: torch.Tensor, ordinal: int) -> torch.Tensor:
    """The forecast at ``row`` of one fully known series, by the formulas of the paper, two seasons, in Python."""
    y, (m, n) = past.tolist(), SEASONS
    alpha, beta, gamma = torch.sigmoid(table[:3] - 1.0).tolist()
    start = sum(y[:n]) / n
    rest = [value / start for value in y[:n]]
    first = [float(np.mean(rest[j::m])) for j in range(m)]
    short = [first[j] * table[3 + (ordinal + j) % m].exp().item() for j in range(m)]
    long = [table[3 + m + (ordinal + j) % n].exp().item() for j in range(n)]
    level = [start]
    for t in range(row + 1):
        level.append(alpha * y[t] / (short[t] * long[t]) + (1 - alpha) * level[-1])
        short.append(beta * y[t] / (level[-1] * long[t]) + (1 - beta) * short[t])
        long.append(gamma * y[t] / (level[-1] * short[t]) + (1 - gamma) * long[t])
    level = level[1:]
    inputs = [
        [np.log(y[i] / (short[i] * long[i] * level[t])) for i in range(t - net.window + 1, t + 1)]
        for t in range(net.window - 1, row + 1)
    ]
    output = net.adapter(net.blocks(torch.tensor([inputs], dtype=torch.float32)))[0, -1]
    ahead = [short[row + 1 + k % m] * long[row + 1 + k % n] for k in range(H)]
    return output.exp() * level[row] * torch.tensor(ahead)


@pytest.mark.parametrize("row", [T - 1, 17])
def test_a_forecast_follows_the_published_formulas(row):
    net, batch = net_of().eval(), batch_of()
    found = net(batch._replace(past=batch.past[:, : row + 1]))
    table = net.smoothing.table.detach()
    for place, (series, ordinal) in enumerate(zip(batch.series.tolist(), batch.ordinal.tolist(), strict=True)):
        own = table[series].clone()
        if series < 0:
            own = torch.cat([table[:, :3].mean(0), torch.zeros(8)])
        expected = published_forecast(net, row, batch.past[place], own, ordinal)
        torch.testing.assert_close(found[place, :, 0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("seasons", "positive"), [(SEASONS, True), ((4,), True), ((), True), (SEASONS, False)])
def test_a_row_is_judged_on_the_forecast_of_a_window_that_ends_there(seasons, positive, masked):
    net, batch = net_of(seasons, positive), batch_of(masked)
    cells = net.own_loss(batch)
    forks = T - net.window + 1
    error, weight = (x.view(B, forks, H) for x in cells)
    whole = torch.cat([batch.past, batch.future], 1)
    known = torch.ones_like(whole) if not masked else torch.cat([batch.observed, batch.future_observed], 1)
    units = net.smoothing(batch).units
    net.eval()
    for fork in range(forks):
        row = fork + net.window - 1
        observed = None if batch.observed is None else batch.observed[:, : row + 1]
        states = net.smoothing(Batch(batch.past[:, : row + 1], observed, series=batch.series, ordinal=batch.ordinal))
        seen = known[:, : row + 1]
        first = torch.where(seen.any(1), seen.argmax(1), row + 1)
        ready = (row - first + 1 >= max((net.window, *seasons))) | (row == T - 1)
        after = known[:, row + 1 : row + 1 + H] * ready.unsqueeze(1)
        assert torch.equal(weight[:, fork], after)
        if positive:  # an additive window has units of its own
            output = net._last_output(batch, states) + (net._seasons_ahead(states) + states.level[:, -1:]).unsqueeze(-1)
            miss = units.own(units.values(whole[:, row + 1 : row + 1 + H])) - output[..., 0]
            expected = 2 * torch.maximum(0.49 * miss, -0.51 * miss)
            torch.testing.assert_close(error[:, fork] * after, expected * after, atol=1e-5, rtol=1e-4)


def test_validation_judges_the_forecast_alone():
    net, batch = net_of(level_penalty=50.0, noise=0.5).eval(), batch_of()
    error, weight = net.own_loss(batch)
    miss = batch.future.log() - net(batch)[..., 0].log()
    torch.testing.assert_close(error, 2 * torch.maximum(0.49 * miss, -0.51 * miss), atol=1e-5, rtol=1e-4)
    assert torch.equal(weight, torch.ones(B, H))


def test_a_level_that_bends_costs_and_noise_is_added_in_training_only():
    batch = batch_of()
    plain, bent = (net_of(level_penalty=penalty).own_loss(batch).error for penalty in (0.0, 10.0))
    bend = net_of().smoothing(batch).level.diff(n=2, dim=1).square().mean(1)
    torch.testing.assert_close(bent - plain, (10.0 * bend).unsqueeze(1).expand_as(plain))
    noisy = net_of(noise=0.1)
    assert not torch.equal(noisy.own_loss(batch).error, noisy.own_loss(batch).error)
    assert torch.equal(noisy.eval()(batch), noisy(batch))


def test_quantiles_are_judged_by_their_mean_pinball_loss():
    net, batch = net_of(probs=(0.1, 0.5, 0.9)).eval(), batch_of()
    output, target = net(batch).log(), batch.future.log().unsqueeze(-1)
    probs = torch.tensor([0.1, 0.5, 0.9])
    expected = 2 * torch.maximum(probs * (target - output), (probs - 1) * (target - output)).mean(-1)
    torch.testing.assert_close(net.own_loss(batch).error, expected, atol=1e-5, rtol=1e-4)


def test_static_features_are_read_beside_the_values():
    torch.manual_seed(0)
    net = ESRNN(hidden_size=6).build(Facts(T, H, seasons=(3,), series=5, positive=True, static=2)).eval()
    batch = batch_of()
    assert net.blocks.layers[0].input_size == 3 + 2
    one, two = (net(batch._replace(static=torch.tensor(cells).expand(B, 2))) for cells in ([1.0, 0.0], [0.0, 1.0]))
    assert (one != two).all()
    with pytest.raises(ValueError, match="static"):
        net(batch)


def test_the_future_moves_the_loss_of_training_alone():
    net, batch = net_of(), batch_of()
    assert isinstance(net, OwnLoss)
    other = batch._replace(future=batch.future * 3)
    assert torch.equal(net.eval()(batch), net(other))
    with pytest.raises(ValueError, match="future"):
        net.own_loss(batch._replace(future=None))


@pytest.mark.parametrize("positive", [True, False])
def test_levels_and_units_pass_through(positive):
    net, batch = net_of(positive=positive).eval(), batch_of()
    shift = 0.0 if positive else 5.0
    moved = net(batch._replace(past=batch.past * 3 + shift))
    torch.testing.assert_close(moved, net(batch) * 3 + shift, atol=1e-4, rtol=1e-4)


def test_every_parameter_learns_also_those_of_each_series():
    net, batch = net_of(), batch_of()
    cells = net.own_loss(batch)
    (cells.error * cells.weight).mean().backward()
    assert all(p.grad is not None and p.grad.ne(0).any() for p in net.parameters())
    assert net.smoothing.table.grad[[0, 2, 3]].ne(0).all()


def test_a_faster_rate_moves_the_coefficients_further_and_the_factors_not():
    moved = []
    for rate in (1.0, 4.0):
        model, training = ESRNN(hidden_size=4, series_rate=rate, factor_rate=1.0), replace(QUICK, max_steps=1)
        fitted = Forecaster(model, h=3, freq="MS", training=training, progress=False).fit(seasonal_frame(2, 40))
        smoothing = fitted._fitted["es_rnn"].net.smoothing
        moved.append((smoothing.rates * smoothing.table).abs())
    torch.testing.assert_close(moved[1][:, :2], 4.0 * moved[0][:, :2], rtol=1e-2, atol=0.0)
    torch.testing.assert_close(moved[1][:, 2:], moved[0][:, 2:], rtol=1e-2, atol=0.0)


def test_a_panel_that_reaches_zero_is_smoothed_additively():
    frame = seasonal_frame(2, 40)
    kinds = []
    for data in (frame, frame.assign(y=frame["y"].where(frame.index != 5, 0.0))):
        fitted = Forecaster(ESRNN(hidden_size=4), h=3, freq="MS", training=QUICK, progress=False).fit(data)
        kinds.append(fitted._fitted["es_rnn"].net.smoothing.kind.additive)
        below = frame.assign(y=-frame["y"])
        assert np.isfinite(fitted.predict(below)["es_rnn"]).all()
    assert kinds == [False, True]


def test_whole_series_are_read_and_new_ones_are_welcome(tmp_path):
    frame = seasonal_frame(3, 40)
    fitted = Forecaster(ESRNN(hidden_size=4), h=3, freq="MS", training=QUICK, progress=False).fit(frame)
    model = fitted._fitted["es_rnn"]
    assert model.facts.input_size == 40
    assert model.history["windows"] == 3  # one each: every row of it teaches
    new = pd.concat([frame, seasonal_frame(1, 25, seed=9).assign(unique_id="new")])
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    out = loaded.predict(new)
    pd.testing.assert_frame_equal(out, fitted.predict(new), check_exact=True)
    assert np.isfinite(out["es_rnn"]).all() and set(out["unique_id"]) == {"s0", "s1", "s2", "new"}


def test_what_was_learned_of_a_series_is_used_under_its_name_only():
    frame = seasonal_frame(3, 40)
    fitted = Forecaster(ESRNN(hidden_size=4), h=3, freq="MS", training=QUICK, progress=False).fit(frame)
    with torch.no_grad():
        fitted._fitted["es_rnn"].net.smoothing.table[1] += 2.0
    known, new = (fitted.predict(frame[frame["unique_id"] == "s1"].assign(unique_id=name)) for name in ("s1", "x"))
    assert not np.allclose(known["es_rnn"], new["es_rnn"], rtol=1e-4)


@pytest.mark.parametrize(
    ("seasons", "dilations"),
    [
        ((24, 168), (1, 4, 24, 168)),
        ((12,), (1, 3, 6, 12)),
        ((7,), (1, 3, 7, 14)),
        ((4,), (1, 2, 4, 8)),
        ((), (1, 6)),
        ((2,), (1, 2, 2, 4)),
    ],
)
def test_what_is_left_out_is_as_published(seasons, dilations):
    net = ESRNN().build(Facts(400, 3, seasons=seasons, series=1, positive=True))
    assert published_dilations(seasons) == net.blocks.dilations == dilations
    assert net.window == (seasons[0] if seasons else 4)
    assert net.level_penalty == {0: 0.0, 1: 50.0, 2: 10.0}[len(seasons)]


def test_values_out_of_range_are_named_together():
    wrong = ESRNN(
        window=31, dilations=(1, 0), tau=1.0, noise=-1.0, level_penalty=-2.0, series_rate=0.0, factor_rate=0.0
    )
    with pytest.raises(
        ConfigError, match=r"window=31.*30 rows.*dilations=\[1, 0\].*tau.*level_pen.*series_rate.*factor_rate.*noise"
    ):
        wrong.build(Facts(30, 3))


def test_the_trainer_for_hourly_series_changes_what_it_says_and_nothing_else():
    config = yaml.safe_load((conf_dir() / "trainer" / "es_rnn.yaml").read_text())
    assert config.pop("defaults") == ["default"]
    assert Training(**config) == Training(learning_rate=1e-2, max_steps=1000)
