"""A quantile function instead of a density: any shape, judged by the continuous ranked probability score."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from forecast.distributions.base import LEAST_SCALE, Likelihood, bounded, scale_of, shape_of, wide
from forecast.distributions.numeric import like
from forecast.errors import ConfigError

RAMPS = 4
START = -2.0  # softplus(-2) = 0.13: tails and ramps start small, the normal part gives the spread
LEAST_WIDTH = 0.01  # of a ramp, as a probability: a gap between two humps may be that sharp
MOST_SHIFT = 10.0  # of a ramp, on the scale of logits
RANDOM_LEVELS, EVEN_LEVELS = 4, 32  # probabilities at which a value is judged, in training and otherwise
HALVINGS = 60
NODES, REACH = 513, 8.0  # of the integral for the variance, normal scores


@dataclass(frozen=True)
class ImplicitQuantile(Likelihood):
    """The quantile function itself, after Gouttes, Rasul, Koren, Stephan and Naghibi (2021, "Probabilistic Time Series
    Forecasting with Implicit Quantile Networks", arXiv 2107.03743), here increasing by construction:

    Q(p) = m + s ndtri(p) + a log(2p) - b log(2 - 2p) + sum of w_k (ramp_k(p) - ramp_k(1/2)),
    ramp_k(p) = sigmoid((p - c_k) / d_k).

    Raw numbers: the median m; softplus^-1 of s, of a and b (the two tails), of the heights w_k of :data:`RAMPS` ramps
    and of their widths d_k; logits of their places c_k. There is no density: the loss is the pinball loss, times two,
    at random probabilities, in expectation the continuous ranked probability score (in training), or its mean over
    :data:`EVEN_LEVELS` even ones (``deterministic``).
    """

    name = "implicit_quantile"
    parameters = 4 + 3 * RAMPS

    @property
    def has_density(self) -> bool:
        return False

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        """Raises ``ConfigError``: it has none."""
        raise ConfigError(f"likelihood={self.name!r} has no density: it is judged by its loss, the CRPS.")

    def loss(self, raw: Tensor, value: Tensor, deterministic: bool = False) -> Tensor:
        raw = wide(raw)
        shape = shape_of(raw, value)
        count = EVEN_LEVELS if deterministic else RANDOM_LEVELS
        within = 0.5 if deterministic else torch.rand((*shape, count), dtype=raw.dtype, device=raw.device)
        # one in each part of the unit interval: as fair as independent ones, and less noisy
        probs = (torch.arange(count, dtype=raw.dtype, device=raw.device) + within) / count
        probs = probs.clamp(1e-6, 1.0 - 1e-6)
        error = value.unsqueeze(-1) - self.quantile(raw.unsqueeze(-2), probs)
        return 2.0 * torch.maximum(probs * error, (probs - 1.0) * error).mean(-1)

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        median, scale, lower, upper, height, place, width = _parts(raw)
        tails = lower * torch.log(2.0 * probs) - upper * torch.log(2.0 - 2.0 * probs)
        ramps = torch.sigmoid((probs.unsqueeze(-1) - place) / width) - torch.sigmoid((0.5 - place) / width)
        quantile: Tensor = median + scale * torch.special.ndtri(probs) + tails + (height * ramps).sum(-1)
        return quantile

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        """By bisection of :meth:`quantile`, on the scale of normal scores."""
        precise = wide(raw).double()
        shape = shape_of(raw, value)
        low = torch.full(shape, -REACH, dtype=torch.float64, device=raw.device)
        high = -low
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            below = self.quantile(precise, torch.special.ndtr(middle)) <= value
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return like(torch.special.ndtr(low), raw)

    def mean(self, raw: Tensor) -> Tensor:
        median, _, lower, upper, height, place, width = _parts(raw)
        half = torch.log(torch.tensor(2.0, dtype=median.dtype, device=median.device)) - 1.0
        area = width * (functional.softplus((1.0 - place) / width) - functional.softplus(-place / width))
        ramps = area - torch.sigmoid((0.5 - place) / width)
        return median + (lower - upper) * half + (height * ramps).sum(-1)

    def variance(self, raw: Tensor) -> Tensor:
        """By the trapezoidal rule over normal scores."""
        precise = wide(raw).double()
        scores = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64, device=raw.device)
        weight = torch.exp(-0.5 * scores.square())
        weight, probs = weight / weight.sum(), torch.special.ndtr(scores).clamp(max=1.0 - 1e-15)
        mean, total = self.mean(precise), torch.zeros_like(precise[..., 0])
        for share, prob in zip(weight, probs, strict=True):
            total = total + share * (self.quantile(precise, prob) - mean).square()
        return like(total, raw)


def _parts(raw: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Median, s, a, b, all (…), and heights, places, widths of ramps, (…, RAMPS)."""
    raw = wide(raw)
    median, scale, lower, upper = raw[..., :4].unbind(-1)
    height, place, width = (raw[..., 4 + RAMPS * k : 4 + RAMPS * (k + 1)] for k in range(3))
    spread = torch.linspace(-2.0, 2.0, RAMPS, dtype=raw.dtype, device=raw.device)
    return (
        median,
        scale_of(scale),
        scale_of(lower + START),
        scale_of(upper + START),
        scale_of(height + START, LEAST_SCALE / RAMPS),
        torch.sigmoid(bounded(place + spread, -MOST_SHIFT, MOST_SHIFT)),
        scale_of(width + START, LEAST_WIDTH),
    )
