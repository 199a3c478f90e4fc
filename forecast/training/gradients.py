"""Gradients between the backward pass and the optimiser: measured layer by layer, then clipped."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

MOST_LAYERS = 8  # what a picture can tell apart
# torch's names of the weights of one layer among several in nn.LSTM, nn.GRU and nn.RNN.
STACKED = re.compile(r"_l(\d+)(?:_reverse)?$")


@dataclass(frozen=True)
class GradientNorms:
    """What the gradients of some steps were like, before clipping.

    Attributes:
        mean: mean norm of the whole gradient.
        peak: largest norm of the whole gradient.
        clipped: share of the steps whose gradient was beyond the limit.
        layers: layer -> norm over its parameters of each parameter's mean norm, in the net's own order.
    """

    mean: float
    peak: float = 0.0
    clipped: float = 0.0
    layers: dict[str, float] = field(default_factory=dict)


def layers_of(net: nn.Module, most: int = MOST_LAYERS) -> dict[str, list[int]]:
    """Layer name -> places of its parameters in ``list(net.parameters())``, in the net's own order.

    A layer is a module that owns parameters (``encoder``), one of the layers of a stacked recurrent module
    (``encoder layer 2``), or a parameter of the net itself (``position``). Where that makes more than ``most``,
    layers are named by as many leading parts of their path as keep to it, and by the first part at least. A wrapper
    around the net is not named; what is not trained is left out.
    """
    paths = _paths(net)
    while len({path[0] for path in paths.values()}) == 1 and min(map(len, paths.values())) > 1:
        paths = {place: path[1:] for place, path in paths.items()}
    depth = max(map(len, paths.values()), default=1)
    while depth > 1 and len({path[:depth] for path in paths.values()}) > most:
        depth -= 1
    layers: dict[str, list[int]] = {}
    for place, path in paths.items():
        layers.setdefault(".".join(path[:depth]).replace(".layer ", " layer "), []).append(place)
    return layers


def _paths(net: nn.Module) -> dict[int, tuple[str, ...]]:
    """Place of each trained parameter -> the modules that lead to it, and its number in a stack of layers."""
    stacks = {name for name, module in net.named_modules() if getattr(module, "num_layers", 1) > 1}
    paths: dict[int, tuple[str, ...]] = {}
    for place, (name, parameter) in enumerate(net.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        number = STACKED.search(leaf) if owner in stacks else None
        parts = tuple(owner.split(".")) if owner else (leaf,)
        if parameter.requires_grad:
            paths[place] = (*parts, f"layer {int(number[1]) + 1}") if number else parts
    return paths


class Gradients:
    """Measures and clips the gradients of ``net``.

    The norm of the whole is made of the norms of the parameters, so those of the layers cost one addition more.

    Args:
        limit: largest norm (``by`` norm) or largest single derivative (``by`` value); ``None`` clips nothing.
    """

    def __init__(self, net: nn.Module, limit: float | None, by: str) -> None:
        self.parameters = list(net.parameters())
        self.layers = layers_of(net)
        self.limit = limit
        self.by = by
        self.reset(torch.device("cpu"))

    def reset(self, device: torch.device) -> None:
        """Forget what was measured and go on measuring on ``device``."""
        self._steps = 0
        self._norms = torch.zeros(len(self.parameters), device=device)
        self._total, self._peak, self._clipped = torch.zeros(3, device=device).unbind()

    def clip(self) -> Tensor:
        """Clip in place; gives the norm of the whole before, a scalar on the device of the net."""
        places = [place for place, parameter in enumerate(self.parameters) if parameter.grad is not None]
        gradients = [self.parameters[place].grad for place in places]
        norms = torch.stack(torch._foreach_norm(gradients))  # type: ignore[arg-type]
        total: Tensor = torch.linalg.vector_norm(norms)
        self._steps += 1
        self._total += total
        self._peak = torch.maximum(self._peak, total)
        if len(places) == len(self.parameters):
            self._norms += norms
        else:
            self._norms[places] += norms
        if self.limit is None:
            return total
        if self.by == "norm":
            self._clipped += total > self.limit
            nn.utils.clip_grads_with_norm_(self.parameters, self.limit, total, foreach=True)
        else:
            self._clipped += torch.stack(torch._foreach_norm(gradients, torch.inf)).max() > self.limit  # type: ignore[arg-type]
            nn.utils.clip_grad_value_(self.parameters, self.limit, foreach=True)
        return total

    def norms(self) -> GradientNorms:
        """What was measured since the last call, or :meth:`reset`. Waits for the device once."""
        steps = max(1, self._steps)
        squares = (self._norms.cpu().double() / steps).square()
        total, peak, clipped = torch.stack([self._total, self._peak, self._clipped]).tolist()
        layers = {name: float(squares[places].sum().sqrt()) for name, places in self.layers.items()}
        self.reset(self._norms.device)
        return GradientNorms(total / steps, peak, clipped / steps, layers)
