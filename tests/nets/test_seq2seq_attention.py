"""Attention of the recursive decoder, against the papers' equations written out step by step."""

from __future__ import annotations

import pytest
import torch

from forecast.errors import ConfigError
from forecast.nets.attention import Additive, Attended, Attentive, Dot
from forecast.nets.facts import Facts
from forecast.nets.seq2seq_attention import Seq2SeqAttention
from forecast.windows.gather import Batch

B, L, H, W = 3, 9, 4, 6
BOTH = pytest.mark.parametrize("attention", ["additive", "dot"])


def net_of(attention: str, **options):
    torch.manual_seed(0)
    return Seq2SeqAttention(attention=attention, hidden_size=W, **options).build(Facts(L, H, seasons=(4,)))


def past_of(known: torch.Tensor | None = None) -> Attended:
    """A past whose states are unit vectors: a context is then the weights themselves."""
    torch.manual_seed(0)
    return Attended(torch.zeros(1, B, L), torch.eye(L).expand(B, L, L), torch.randn(B, L, L), known)


def test_additive_weights_equal_the_formula():
    past, query = past_of(), torch.randn(B, 2, L)
    attention = Additive(L)
    weights = attention(query, past)
    for step in range(2):
        energy = [
            torch.tanh(query[:, step] @ attention.of_query.weight.T + past.keys[:, row]) @ attention.energy.weight[0]
            for row in range(L)
        ]
        torch.testing.assert_close(weights[:, step], torch.stack(energy, 1).softmax(-1))


def test_dot_weights_equal_the_formula():
    past, query = past_of(), torch.randn(B, 2, L)
    expected = torch.einsum("bsw,blw->bsl", query, past.keys).softmax(-1)
    torch.testing.assert_close(Dot()(query, past), expected)


@pytest.mark.parametrize("attention", [Additive(L), Dot()])
def test_attention_weights_sum_to_one_and_leave_unknown_rows_out(attention):
    known = torch.ones(B, 1, L)
    known[:, :, :3] = 0
    query = torch.randn(B, 2, L)
    weights = attention(query, past_of(known))
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, 2))
    assert (weights[..., :3] == 0).all()
    free = attention(query, past_of())[..., 3:]
    torch.testing.assert_close(weights[..., 3:], free / free.sum(-1, keepdim=True))


@pytest.mark.parametrize("attention", [Additive(L), Dot()])
def test_a_past_of_which_nothing_is_known_gets_even_weights(attention):
    weights = attention(torch.randn(B, 2, L), past_of(torch.zeros(B, 1, L)))
    torch.testing.assert_close(weights, torch.full((B, 2, L), 1 / L))


def carried(layer: Attentive) -> Attended:
    zeros = torch.zeros(1, B, W)
    memory = torch.randn(B, L, W)
    return Attended((zeros, zeros), memory, memory if not layer.before else torch.randn(B, L, W), None)


def test_with_the_additive_score_the_state_before_a_step_decides_its_context():
    torch.manual_seed(0)
    layer = Attentive("additive", "lstm", 2, W, 1, 0.0)
    x, start = torch.randn(B, 2, 2), carried(layer)
    features, _ = layer(x, start)
    state = start.state
    for step in range(2):
        context = layer.attention(state[0][-1].unsqueeze(1), start)[:, 0]
        output, state = layer.rnn(torch.cat([x[:, step], context], -1).unsqueeze(1), state)
        expected = torch.tanh(layer.combine(torch.cat([context, output[:, 0]], -1)))
        torch.testing.assert_close(features[:, step], expected, atol=1e-6, rtol=1e-5)


def test_with_the_dot_score_the_state_after_a_step_decides_its_context():
    torch.manual_seed(0)
    layer = Attentive("dot", "lstm", 2, W, 1, 0.0)
    x, start = torch.randn(B, 2, 2), carried(layer)
    features, _ = layer(x, start)
    output, _ = layer.rnn(x, start.state)
    for step in range(2):
        share = torch.einsum("bw,blw->bl", output[:, step], start.memory).softmax(-1)
        context = torch.einsum("bl,blw->bw", share, start.memory)
        expected = torch.tanh(layer.combine(torch.cat([context, output[:, step]], -1)))
        torch.testing.assert_close(features[:, step], expected, atol=1e-6, rtol=1e-5)


@BOTH
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_steps_in_one_call_equal_steps_one_by_one(attention, cell):
    torch.manual_seed(0)
    layer = Attentive(attention, cell, 2, W, 2, 0.0)
    zeros = torch.zeros(2, B, W)
    memory, x = torch.randn(B, L, W), torch.randn(B, H, 2)
    state = Attended((zeros, zeros) if cell == "lstm" else zeros, memory, memory, None)
    whole, _ = layer(x, state)
    for step in range(H):
        one, state = layer(x[:, step : step + 1], state)
        torch.testing.assert_close(one[:, 0], whole[:, step], atol=1e-6, rtol=1e-5)


@BOTH
def test_full_teacher_forcing_with_attention_in_one_call_equals_the_loop(attention):
    net = net_of(attention, teacher_forcing=1.0).train()
    past, truth = torch.randn(B, L), torch.randn(B, H)
    at_once = net(Batch(past, None, truth, None, progress=0.0))
    looped = net(Batch(past, None, truth, torch.ones_like(truth), progress=0.0))
    torch.testing.assert_close(at_once, looped)


@BOTH
def test_an_attentive_decoder_sees_no_truth_at_prediction(attention):
    net, past = net_of(attention, teacher_forcing=1.0).eval(), torch.randn(B, L)
    one = net(Batch(past, None, torch.full((B, H), 1e9), None, 0.0))
    assert torch.equal(one, net(Batch(past, None, None, None, 1.0)))


@BOTH
def test_the_forecast_depends_on_early_rows_through_attention_alone(attention):
    """With the encoder's last state cut off, only attention can carry the past into the forecast."""
    net = net_of(attention, seasonal_skip=False).eval()
    past = torch.randn(B, L, requires_grad=True)
    memory, state = net.encoder(past.unsqueeze(-1))
    state = tuple(part.detach() for part in state)
    start = Attended(state, memory, net.keys(memory), None)
    net.decoder(start, torch.zeros(B, H, 1), Batch(past, None)).sum().backward()
    assert (past.grad[:, 0] != 0).all()


@BOTH
def test_a_bidirectional_encoder_and_quantiles_fit_the_attentive_decoder(attention):
    arch = Seq2SeqAttention(attention=attention, hidden_size=W, num_layers=2, bidirectional=True)
    net = arch.build(Facts(L, H, channels=2, probs=(0.1, 0.5, 0.9)))
    output = net(Batch(torch.randn(B, L), torch.ones(B, L)))
    assert output.shape == (B, H, 3)
    assert (output.diff(dim=-1) >= 0).all()


@BOTH
def test_attention_runs_in_bfloat16(attention):
    net, past = net_of(attention), torch.randn(B, L)
    exact = net(Batch(past, None))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(net(Batch(past, None)).float(), exact, atol=0.05, rtol=0.05)


def test_an_unknown_attention_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="additive, dot"):
        Seq2SeqAttention(attention="self").build(Facts(L, H))
