"""MQ-RNN: forks that see nothing after them, targets that follow them, contexts that meet in the local perceptron."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from forecast import Forecaster, Training
from forecast.errors import ConfigError
from forecast.nets.facts import Facts
from forecast.nets.forks import Forking, followers, fork_rows, last_known
from forecast.nets.mqrnn import MQRNN, Decoder, centred
from forecast.nets.scaling import scale_window
from forecast.training.losses import cell_loss, weighted_mean
from forecast.training.module import Budget, ForecastModule
from forecast.windows.gather import Batch
from tests.conftest import seasonal_frame

B, L, H = 3, 20, 4
CPU = torch.device("cpu")


def net_of(facts: Facts, **options):
    torch.manual_seed(0)
    return MQRNN(**{"hidden_size": 6, "context_size": 3, "local_size": 5, **options}).build(facts)


def masked_batch() -> Batch:
    """Windows padded at the front, with a gap in the middle and the last row of one unknown."""
    torch.manual_seed(1)
    observed = torch.ones(B, L)
    observed[0, :7] = 0
    observed[1, 12:15] = 0
    observed[2, -1] = 0
    known = torch.ones(B, H)
    known[1, 2] = 0
    return scale_window(Batch(torch.randn(B, L) * observed, observed, torch.randn(B, H) * known, known, 0.5)).batch


def test_what_follows_a_fork_is_read_off_past_and_future():
    past, future = torch.tensor([[0.0, 1.0, 2.0, 3.0]]), torch.tensor([[4.0, 5.0]])
    after = followers(past, future, torch.tensor([0, 2, 3]))
    assert after.tolist() == [[[1.0, 2.0], [3.0, 4.0], [4.0, 5.0]]]


def test_forks_are_distinct_ascending_and_end_with_the_last_row():
    rows = fork_rows(4, 12, 5, CPU).tolist()
    assert rows == sorted(set(rows)) and len(rows) == 5
    assert rows[0] >= 4 and rows[-1] == 11
    assert fork_rows(4, 12, 1, CPU).tolist() == [11]
    assert fork_rows(4, 12, 99, CPU).tolist() == list(range(4, 12))
    assert fork_rows(11, 12, 3, CPU).tolist() == [11]


def test_the_last_known_value_is_carried_over_unknown_rows():
    past = torch.tensor([[0.0, 5.0, 0.0, 0.0, 7.0]])
    observed = torch.tensor([[0.0, 1, 0, 0, 1]])
    assert last_known(Batch(past, observed)).tolist() == [[0.0, 5.0, 5.0, 5.0, 7.0]]


@pytest.mark.parametrize("kind", ["plain", "masked"])
def test_a_fork_forecasts_what_the_net_would_had_the_window_ended_there(kind):
    batch = masked_batch() if kind == "masked" else Batch(torch.randn(B, L), None, torch.randn(B, H))
    facts = Facts(L, H, channels=2 if kind == "masked" else 1, seasons=(3, 5), probs=(0.1, 0.5, 0.9))
    net = net_of(facts, forks=99).eval()
    forks = net.forked(batch)
    rows = range(L - forks.output.shape[1], L)
    assert rows[0] == L // 2 - 1
    for number, row in enumerate(rows):
        observed = None if batch.observed is None else batch.observed[:, : row + 1]
        ended = net(Batch(batch.past[:, : row + 1], observed))
        torch.testing.assert_close(forks.output[:, number], ended, atol=1e-6, rtol=1e-5)


def test_the_level_of_a_window_shifts_every_fork_alike():
    net, past, future = net_of(Facts(L, H, seasons=(4,)), forks=99), torch.randn(B, L), torch.randn(B, H)
    one, two = (net.forked(Batch(past + shift, None, future + shift)) for shift in (0.0, 3.0))
    torch.testing.assert_close(two.output, one.output + 3.0, atol=1e-5, rtol=1e-5)


def test_the_mean_so_far_is_taken_off_the_past():
    past = torch.tensor([[2.0, 4.0, 0.0, 9.0]])
    assert centred(Batch(past, None))[0, :, 0].tolist() == [0.0, 1.0, -2.0, 5.25]
    known = torch.tensor([[1.0, 1, 0, 1]])
    assert centred(Batch(past, known))[0].tolist() == [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [4.0, 1.0]]


def test_unknown_cells_and_forks_that_know_too_little_weigh_nothing():
    batch = masked_batch()
    forks = net_of(Facts(L, H, channels=2), forks=99).forked(batch)
    rows = range(L // 2 - 1, L)
    whole = torch.cat([batch.observed, batch.future_observed], 1)
    for number, row in enumerate(rows):
        for window in range(B):
            enough = row == L - 1 or batch.observed[window, : row + 1].sum() >= L // 2
            expected = whole[window, row + 1 : row + 1 + H] if enough else torch.zeros(H)
            assert torch.equal(forks.weight[window, number], expected)


def test_the_local_perceptron_sees_the_context_of_its_step_the_shared_one_and_the_skip():
    torch.manual_seed(0)
    decoder = Decoder(Facts(L, H), 6, 3, 5, 0.0)
    state, skip = torch.randn(2, 6), torch.randn(2, H, 1)
    contexts = decoder.contexts(state).view(2, H + 1, 3)
    for step in range(H):
        expected = decoder.local(torch.cat([contexts[:, step], contexts[:, H], skip[:, step]], -1))
        torch.testing.assert_close(decoder(state, skip)[:, step], expected)


def test_with_one_fork_training_and_prediction_forecast_the_same():
    net, batch = net_of(Facts(L, H, channels=2, seasons=(4,)), forks=1), masked_batch()
    forks = net.forked(batch)
    torch.testing.assert_close(forks.output[:, 0], net(batch))
    assert torch.equal(forks.future[:, 0], batch.future)
    assert torch.equal(forks.weight[:, 0], batch.future_observed)


def test_forks_need_a_future():
    with pytest.raises(ValueError, match="future"):
        net_of(Facts(L, H)).forked(Batch(torch.randn(B, L), None))


def test_training_takes_the_mean_loss_over_all_forks_of_windows_that_vary():
    facts, settings = Facts(L, H), Training(max_steps=1, loss="mae")
    net = net_of(facts, forks=99)
    assert isinstance(net, Forking)
    module = ForecastModule(net, SimpleNamespace(levels=False), facts, settings, Budget(1, None), 0)
    past, future = torch.randn(B, L), torch.randn(B, H)
    past[1] = 2.0  # a constant past forecasts itself and teaches nothing
    batch = Batch(past, None, future, None, 0.0)
    scaled = scale_window(batch)
    errors = []
    for window in (0, 2):
        series = torch.cat([scaled.batch.past[window], scaled.batch.future[window]])
        for row in range(L // 2 - 1, L):
            output = net(Batch(scaled.batch.past[window : window + 1, : row + 1], None))
            errors.append(cell_loss("mae")(output, series[None, row + 1 : row + 1 + H]))
    expected = weighted_mean(torch.cat(errors), torch.ones(len(errors), 1))
    torch.testing.assert_close(module._batch_loss(batch), expected)


def test_forks_give_other_weights_than_training_at_the_end_alone():
    training = Training(max_steps=3, batch_size=8, validations=1)
    frame, fitted = seasonal_frame(2, 40), []
    for forks in (1, 8):
        model = MQRNN(input_size=20, hidden_size=4, forks=forks, quantiles=(0.1, 0.9))
        fitted += Forecaster(model, h=3, training=training, progress=False).fit(frame)._fitted.values()
    a, b = (model.net.state_dict() for model in fitted)
    assert any(not torch.equal(a[name], b[name]) for name in a)


def test_sizes_below_one_are_refused_by_name():
    with pytest.raises(ConfigError, match="context_size=0, forks=0"):
        MQRNN(context_size=0, forks=0).build(Facts(L, H))
