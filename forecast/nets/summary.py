"""A table of a net's layers: what each is, the shape it gives, how many parameters it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import torch
from torch import Tensor, nn


class Layer(TypedDict):
    """One row of the table. ``shape`` leaves out the batch."""

    layer: str
    kind: str
    shape: str
    parameters: int


def parameter_count(module: nn.Module) -> int:
    """Trainable numbers in ``module``; torch's recurrent layers have two bias vectors each."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _shape(output: object) -> str:
    if isinstance(output, tuple) and output:
        return _shape(output[0])
    return " × ".join(map(str, output.shape[1:])) if isinstance(output, Tensor) else ""


def _recorder(shapes: dict[str, str], name: str) -> Callable[[nn.Module, object, object], None]:
    def record(_module: nn.Module, _inputs: object, output: object) -> None:
        shapes.setdefault(name, _shape(output))

    return record


def layer_table(net: nn.Module, *example: object) -> list[Layer]:
    """Rows for every module of ``net`` that owns parameters itself, with shapes seen when run on ``example``."""
    shapes: dict[str, str] = {}
    owners = {
        name: module
        for name, module in net.named_modules()
        if any(True for _ in module.parameters(recurse=False)) or not list(module.children())
    }
    hooks = [module.register_forward_hook(_recorder(shapes, name)) for name, module in owners.items()]
    training = net.training
    try:
        with torch.inference_mode():
            net.eval()(*example)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return [
        Layer(
            layer=name or type(net).__name__,
            kind=type(module).__name__,
            shape=shapes.get(name, ""),
            parameters=sum(p.numel() for p in module.parameters(recurse=False) if p.requires_grad),
        )
        for name, module in owners.items()
    ]
