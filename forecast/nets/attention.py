"""Attention of a recurrent decoder over the encoder's states, additive or by dot product."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.errors import ConfigError
from forecast.nets.encoders import State, recurrent, top

ATTENTIONS = ("additive", "dot")


class Attended(NamedTuple):
    """What an attentive layer carries from step to step: a recurrent state, and the past it may look at."""

    state: State  # (layers, B, width), or a pair of them
    memory: Tensor  # (B, input_size, width), the encoder's output of every row
    keys: Tensor  # (B, input_size, width), what queries are compared with
    known: Tensor | None  # (B, 1, input_size), 1.0 where a row is known; None when all are


def key_map(attention: str, width: int) -> nn.Module:
    """From the encoder's states to keys, applied once for all steps: linear when additive, the states when dot.

    Raises ``ConfigError`` for an unknown attention.
    """
    if attention not in ATTENTIONS:
        raise ConfigError(f"attention={attention!r} is not one of {', '.join(ATTENTIONS)}.")
    return nn.Linear(width, width) if attention == "additive" else nn.Identity()


class Additive(nn.Module):
    """Scores ``v · tanh(W query + key)`` (Bahdanau, Cho and Bengio 2014, "Neural Machine Translation by Jointly
    Learning to Align and Translate", arXiv 1409.0473)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_query = nn.Linear(width, width, bias=False)
        self.energy = nn.Linear(width, 1, bias=False)

    def forward(self, query: Tensor, past: Attended) -> Tensor:
        """Contexts (B, steps, width) for queries of that shape."""
        both = torch.tanh(self.of_query(query).unsqueeze(2) + past.keys.unsqueeze(1))  # (B, steps, rows, width)
        scores = self.energy(both).squeeze(-1)
        if past.known is not None:
            scores = scores + unknown_penalty(past.known).to(scores.dtype)
        context: Tensor = scores.softmax(-1) @ past.memory
        return context


class Dot(nn.Module):
    """Scores ``query · key`` (Luong, Pham and Manning 2015, "Effective Approaches to Attention-based Neural Machine
    Translation", arXiv 1508.04025), not divided by anything."""

    def forward(self, query: Tensor, past: Attended) -> Tensor:
        """Contexts (B, steps, width) for queries of that shape."""
        penalty = None if past.known is None else unknown_penalty(past.known).to(query.dtype).unsqueeze(1)
        query, keys, memory = (part.unsqueeze(1) for part in (query, past.keys, past.memory))  # one head
        # The fused kernel takes half the time of two products and a softmax when there is one query.
        return functional.scaled_dot_product_attention(query, keys, memory, penalty, scale=1.0).squeeze(1)


def unknown_penalty(known: Tensor) -> Tensor:
    """What to add to scores so that unknown rows weigh nothing; finite, so that a past of which nothing is known
    has even weights."""
    return (known - 1.0) * 1e9


class Attentive(nn.Module):
    """A recurrent layer whose features also hold a weighted mean (context) of the encoder's states.

    Called like a recurrent layer: inputs (B, steps, inputs) and :class:`Attended` give features (B, steps, width),
    ``tanh(W [context, state])``, and the next :class:`Attended`. The two papers attend at different moments:

    * additive: the state *before* a step decides the context, which enters the cell with the input;
    * dot: the state *after* a step decides the context, so all steps of given inputs are one call of the layer.
    """

    def __init__(self, attention: str, cell: str, inputs: int, width: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.before = attention == "additive"
        self.attention = Additive(width) if self.before else Dot()
        self.rnn = recurrent(cell, inputs + (width if self.before else 0), width, num_layers, dropout)
        self.combine = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, carried: Attended) -> tuple[Tensor, Attended]:
        features, context, state = (self._attend_before if self.before else self._attend_after)(x, carried)
        return torch.tanh(self.combine(torch.cat([context, features], dim=-1))), carried._replace(state=state)

    def _attend_after(self, x: Tensor, carried: Attended) -> tuple[Tensor, Tensor, State]:
        features, state = self.rnn(x, carried.state)
        return features, self.attention(features, carried), state

    def _attend_before(self, x: Tensor, carried: Attended) -> tuple[Tensor, Tensor, State]:
        state, features, contexts = carried.state, [], []
        for step in range(x.shape[1]):
            context = self.attention(top(state).unsqueeze(1), carried)
            output, state = self.rnn(torch.cat([x[:, step : step + 1], context], dim=-1), state)
            features.append(output)
            contexts.append(context)
        return torch.cat(features, dim=1), torch.cat(contexts, dim=1), state
