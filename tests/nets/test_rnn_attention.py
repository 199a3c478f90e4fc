"""Attention over recurrent states: one row of self-attention, weights that sum to one."""

from __future__ import annotations

import pytest
import torch

from forecast.errors import ConfigError
from forecast.nets.encoders import Encoder
from forecast.nets.facts import Facts
from forecast.nets.rnn_attention import AttentiveEncoder, RNNAttention
from forecast.windows.gather import Batch


def attentive(cell: str = "gru", bidirectional: bool = False) -> AttentiveEncoder:
    torch.manual_seed(0)
    return AttentiveEncoder(Encoder(cell, 1, 4, 1, 0.0, bidirectional), 2, 0.0)


def test_the_last_row_of_full_self_attention_is_what_the_decoder_gets():
    net, x = attentive(), torch.randn(3, 9, 1)
    states, _ = net.rnn(x)
    rows, _ = net.attention(states, states, states)
    torch.testing.assert_close(net(x), net.norm(states + rows)[:, -1])


def test_attention_equals_its_equation_and_its_weights_sum_to_one():
    net, x = attentive(), torch.randn(3, 9, 1)
    states, _ = net.rnn(x)
    q, k, v = (states @ net.attention.in_proj_weight.T + net.attention.in_proj_bias).chunk(3, dim=-1)
    heads = []
    for part in (slice(0, 2), slice(2, 4)):
        weights = torch.softmax(q[:, -1:, part] @ k[..., part].transpose(1, 2) / 2**0.5, dim=-1)
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, 1))
        heads.append(weights @ v[..., part])
    context = net.attention.out_proj(torch.cat(heads, dim=-1))[:, 0]
    torch.testing.assert_close(net(x), net.norm(states[:, -1] + context))


def test_attention_reaches_the_first_row_at_once():
    net = attentive()
    states = torch.zeros(1, 50, 4).requires_grad_()
    context, _ = net.attention(states[:, -1:], states, states, need_weights=False)
    context.square().sum().backward()
    torch.testing.assert_close(states.grad[0, 0], states.grad[0, 25])


def test_a_bidirectional_encoder_is_attended_over_both_directions():
    net = RNNAttention(hidden_size=4, bidirectional=True).build(Facts(9, 3))
    assert net.encoder.attention.embed_dim == 8
    assert net(Batch(torch.randn(2, 9), None)).shape == (2, 3, 1)


def test_heads_that_do_not_divide_the_state_are_refused():
    with pytest.raises(ConfigError, match="heads=3 do not divide a state of width 64"):
        RNNAttention(heads=3).build(Facts(9, 3))
