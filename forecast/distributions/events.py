"""Likelihoods of events (0 and 1) and of classes (their places, from 0)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from forecast.distributions.base import Likelihood, shape_of, wide
from forecast.errors import ConfigError


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Of 0 and 1. Raw number: the logit of 1."""

    name = "bernoulli"
    parameters = 1
    kind = "event"

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        logit = wide(raw)[..., 0]
        return value * functional.logsigmoid(logit) + (1.0 - value) * functional.logsigmoid(-logit)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        none = torch.sigmoid(-wide(raw)[..., 0])
        return torch.where(value < 0.0, 0.0, torch.where(value < 1.0, none, 1.0))

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        logit = wide(raw)[..., 0]
        return (probs > torch.sigmoid(-logit)).to(logit.dtype)

    def mean(self, raw: Tensor) -> Tensor:
        return torch.sigmoid(wide(raw)[..., 0])

    def variance(self, raw: Tensor) -> Tensor:
        logit = wide(raw)[..., 0]
        return torch.sigmoid(logit) * torch.sigmoid(-logit)

    def shares(self, raw: Tensor) -> Tensor:
        return torch.sigmoid(wide(raw))


@dataclass(frozen=True)
class Categorical(Likelihood):
    """Of the places 0 … ``classes`` - 1 of classes. Raw numbers: a logit of each.

    Mean, variance and quantiles are those of the places: they say something where classes have an order.
    Raises ``ConfigError`` for fewer than two classes.
    """

    classes: int

    name = "categorical"
    kind = "class"
    moves = ()

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise ConfigError(f"likelihood='categorical' with classes={self.classes}: two at least.")

    @property
    def parameters(self) -> int:
        return self.classes

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        logs = functional.log_softmax(wide(raw), -1)
        shape = shape_of(logs, value)
        place = value.long().expand(shape).unsqueeze(-1)
        return logs.expand(*shape, self.classes).gather(-1, place).squeeze(-1)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        among = self._places(raw) <= value.unsqueeze(-1)
        return torch.where(among[..., -1], 1.0, (self.shares(raw) * among).sum(-1))

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        below = self.shares(raw)[..., :-1].cumsum(-1) < probs.unsqueeze(-1)
        return below.sum(-1).to(wide(raw[..., :0]).dtype)

    def mean(self, raw: Tensor) -> Tensor:
        return (self.shares(raw) * self._places(raw)).sum(-1)

    def variance(self, raw: Tensor) -> Tensor:
        return (self.shares(raw) * (self._places(raw) - self.mean(raw).unsqueeze(-1)).square()).sum(-1)

    def shares(self, raw: Tensor) -> Tensor:
        return torch.softmax(wide(raw), -1)

    def _places(self, raw: Tensor) -> Tensor:
        return torch.arange(self.classes, dtype=wide(raw[..., :0]).dtype, device=raw.device)
