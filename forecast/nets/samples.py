"""Sample paths: the random numbers they are made from, and the quantiles they come down to."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from forecast.nets.averaged import members_of
from forecast.windows.gather import Batch

SEED = 1704_04110
# Steps of the second and later coordinates of a lattice: irrational, and no simple combination of each other.
STRIDES = (2**0.5, 3**0.5, 5**0.5)
CANDIDATES = 32
# Sums over the steps that should be evenly spread too: a short and a long memory, and the random walk.
MEMORIES = (0.5, 0.9, 1.0)


@runtime_checkable
class SamplesPaths(Protocol):
    """A net that draws futures step after step."""

    def paths(self, batch: Batch, num_samples: int | None = None, seed: int | None = None) -> Tensor:
        """Sample paths (B, num_samples, h) in window units."""
        ...


def paths_of(net: nn.Module, batch: Batch, samples: int, seed: int | None = None) -> Tensor:
    """Sample paths (B, samples, h) of ``net``; where it is the mean of several nets, each draws its share."""
    members = members_of(net)
    shares = [samples // len(members) + (n < samples % len(members)) for n in range(len(members))]
    drawn = []
    for member, share in zip(members, shares, strict=True):
        if not isinstance(member, SamplesPaths):
            raise TypeError(f"{type(member).__name__} draws no futures")
        if share:
            drawn.append(member.paths(batch, share, seed))
    return torch.cat(drawn, 1)


@lru_cache(maxsize=8)
def uniforms(samples: int, steps: int, draws: int) -> Tensor:
    """Numbers strictly within 0 … 1 that every series is sampled with, shape (steps, samples, draws).

    Common to all series, so that a forecast depends on nothing but its own past, and evenly spread instead of random
    (McKay, Beckman and Conover 1979, "A Comparison of Three Methods for Selecting Values of Input Variables"): at each
    step the first draw visits the middle of every ``samples``-th of the unit interval once, the other draws follow it
    on a lattice. Paths come in antithetic pairs, i and i + samples / 2 (rounded up): the first draw u of one is 1 - u
    of the other, their other draws are equal. Which pair visits what is random; of several random orders a step takes
    the one after which the sums of the paths so far are closest to normal quantiles, which makes a hundred paths as
    good as several hundred independent ones.
    """
    half = -(-samples // 2)
    with torch.inference_mode(False), torch.device("cpu"):  # kept for later calls, on any device, with gradients
        generator = torch.Generator().manual_seed(SEED)
        cells = torch.arange(half, dtype=torch.float64) + 0.5
        lattice = torch.stack([cells / (2 * half), *((cells * stride).frac() for stride in STRIDES[: draws - 1])], -1)
        spread = Spread(lattice)
        return torch.stack([spread.step(generator)[:samples] for _ in range(steps)]).float()


def numbers(samples: int, steps: int, draws: int, seed: int | None = None) -> Tensor:
    """:func:`uniforms`, or with ``seed`` independent numbers in their stead."""
    if seed is None:
        return uniforms(samples, steps, draws)
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(steps, samples, draws, generator=generator).clamp(1e-7, 1 - 1e-7)


class Spread:
    """Lays the points of one step, ``lattice`` (half, draws), over pairs of paths again and again."""

    def __init__(self, lattice: Tensor) -> None:
        self.lattice = lattice
        self.scores = normal_scores(lattice)
        self.wanted = normal_scores(lattice[:, :1]).abs().sort().values
        self.memory = torch.tensor(MEMORIES, dtype=torch.float64).unsqueeze(-1)
        self.sums = torch.zeros(len(MEMORIES), len(lattice), dtype=torch.float64)
        self.variance = torch.zeros_like(self.memory)

    def step(self, generator: torch.Generator) -> Tensor:
        """The points of the next step, (2 * half, draws): the best of :data:`CANDIDATES` random orders."""
        shape = CANDIDATES, len(self.lattice)
        order = torch.rand(shape, generator=generator).argsort(-1)
        mirrored = torch.rand(shape, generator=generator) < 0.5
        scores = self.scores[order]
        scores = torch.where(mirrored, -scores, scores)
        sums = (self.memory * self.sums).unsqueeze(1) + scores  # (memories, candidates, half)
        self.variance = self.memory.square() * self.variance + 1.0
        sizes = (sums / self.variance.sqrt().unsqueeze(-1)).abs().sort(-1).values
        best = int((sizes - self.wanted).square().mean(-1).sum(0).argmin())
        self.sums = sums[:, best]
        points = self.lattice[order[best]]
        return torch.cat([_mirror(points, mirrored[best]), _mirror(points, ~mirrored[best])])


def normal_scores(uniform: Tensor) -> Tensor:
    """Standard normal numbers of (…, draws): by the quantile function, or Box and Muller's of the first two draws."""
    if uniform.shape[-1] == 1:
        scores: Tensor = torch.special.ndtri(uniform[..., 0])
        return scores
    return -torch.sqrt(-2.0 * torch.log(uniform[..., 1])) * torch.cos(math.pi * uniform[..., 0])


def _mirror(points: Tensor, where: Tensor) -> Tensor:
    first = torch.where(where, 1.0 - points[:, 0], points[:, 0])
    return torch.cat([first.unsqueeze(-1), points[:, 1:]], -1)


def quantiles_of(paths: Tensor, probs: tuple[float, ...]) -> Tensor:
    """Quantiles of sample paths, step by step: (B, samples, h) to (B, h, len(probs)), non-decreasing.

    The i-th smallest of n samples stands for the probability (i - 1/2) / n (Hazen's rule), linearly between.
    """
    ordered = _ordered(paths.movedim(1, -1))
    count = ordered.shape[-1]
    place = (torch.tensor(probs, dtype=torch.float64, device=paths.device) * count - 0.5).clamp(0.0, count - 1.0)
    low = place.floor().long()
    share = (place - low).to(paths.dtype)
    return torch.lerp(ordered[..., low], ordered[..., (low + 1).clamp(max=count - 1)], share)


def _ordered(paths: Tensor) -> Tensor:
    """Ascending along the last dimension; by numpy where it can be, which is ten times as fast on a CPU."""
    if paths.device.type != "cpu" or paths.dtype != torch.float32 or paths.requires_grad:
        return paths.sort(-1).values
    ordered = paths.numpy().copy()
    ordered.sort(-1)
    return torch.from_numpy(ordered)
