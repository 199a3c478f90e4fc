"""The net that reads row by row: what it carries is all that it needs."""

from __future__ import annotations

import pytest
import torch

from forecast.models import GRU, LSTM, RNN, SegRNN
from forecast.nets.facts import Facts
from forecast.nets.stream import Streaming, top

FACTS = Facts(input_size=7, h=4, channels=2, seasons=(3,), probs=(0.1, 0.5, 0.9))
CELLS = [
    LSTM(hidden_size=5, num_layers=2),
    GRU(hidden_size=5, num_layers=3),
    RNN(hidden_size=5),
    RNN(hidden_size=5, nonlinearity="relu"),
]


@pytest.mark.parametrize("arch", CELLS, ids=repr)
def test_reading_in_pieces_ends_where_reading_at_once_does(arch):
    net = arch.stream(FACTS).eval()
    rows = torch.randn(3, 11, net.features)
    hidden, carry = net.read(rows, net.start(3))
    parts, at = [], net.start(3)
    for piece in rows.split([1, 4, 2, 4], dim=1):
        part, at = net.read(piece, at)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), hidden, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(at, carry, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(top(carry), hidden[:, -1])
    assert carry.shape == (3, 2 if isinstance(arch, LSTM) else 1, arch.num_layers, 5)


def test_forecasts_are_added_to_a_blend_of_seasonal_naive_forecasts_by_the_state():
    net = LSTM(hidden_size=5).stream(Facts(7, 4, seasons=(3, 4))).eval()
    hidden, coming = torch.randn(2, 5), torch.randn(2, 4, 2)
    free = net.forecast(hidden, torch.zeros_like(coming))
    torch.testing.assert_close(net.forecast(hidden, coming), free + coming.mean(-1, keepdim=True))
    torch.nn.init.normal_(net.shares.weight)
    shares = net.shares(hidden)
    assert not torch.allclose(shares[0], shares[1])
    blend = (coming * shares.unsqueeze(1)).sum(-1, keepdim=True)
    torch.testing.assert_close(net.forecast(hidden, coming), free + blend)
    plain = LSTM(hidden_size=5, seasonal_skip=False).stream(Facts(7, 4, seasons=(3, 4))).eval()
    torch.testing.assert_close(plain.forecast(hidden, coming), plain.forecast(hidden, 0 * coming))


def test_quantiles_do_not_cross():
    net = GRU(hidden_size=5).stream(FACTS).eval()
    output = net.forecast(torch.randn(50, 5), torch.randn(50, 4, 1))
    assert (output.diff(dim=-1) >= 0).all()


def test_only_nets_that_read_row_by_row_can_stream():
    assert isinstance(LSTM(), Streaming)
    assert not isinstance(SegRNN(), Streaming)
