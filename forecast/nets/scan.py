"""The linear recurrence h_t = keep_t * h_(t-1) + new_t, elementwise, with h_(-1) = 0.

On CPU a plain loop over time is the fastest way (one fused operation a step on a slice that fits the caches); on an
accelerator a parallel scan is, in log2(T) sweeps (Hillis and Steele 1986, "Data Parallel Algorithms"). The gradient is
the same recurrence run backwards, so both come with a hand-written one that stores nothing but the states.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def loop(links: Tensor, new: Tensor, reverse: bool = False) -> Tensor:
    """One row after the other. ``new`` (T, …) with time first; ``links`` (T - 1, …) join each row to the next.

    Forward s_t = new_t + links_(t-1) s_(t-1); in reverse s_t = new_t + links_t s_(t+1). Tracks no gradient.
    """
    states = torch.empty_like(new)
    link, row, state = links.unbind(0), new.unbind(0), states.unbind(0)
    last = len(row) - 1
    state[last if reverse else 0].copy_(row[last if reverse else 0])
    if reverse:
        for t in range(last - 1, -1, -1):
            torch.addcmul(row[t], link[t], state[t + 1], out=state[t])
    else:
        for t in range(1, last + 1):
            torch.addcmul(row[t], link[t - 1], state[t - 1], out=state[t])
    return states


def scan(links: Tensor, new: Tensor, reverse: bool = False) -> Tensor:
    """What :func:`loop` computes, in log2(T) sweeps over all rows at once."""
    if reverse:
        return scan(links.flip(0), new.flip(0)).flip(0)
    state = new
    reach = torch.cat([torch.zeros_like(new[:1]), links])  # what is left of the state `step` rows before
    step = 1
    while step < len(new):
        state = torch.cat([state[:step], torch.addcmul(state[step:], reach[step:], state[:-step])])
        reach = torch.cat([reach[:step], reach[step:] * reach[:-step]])
        step *= 2
    return state


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor) -> Tensor:
        solve = loop if new.device.type == "cpu" else scan
        states = solve(keep[1:], new)
        ctx.save_for_backward(keep, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        keep, states = ctx.saved_tensors
        solve = loop if grad.device.type == "cpu" else scan
        flow = solve(keep[1:], grad, reverse=True)
        grad_keep = torch.zeros_like(keep)
        torch.mul(flow[1:], states[:-1], out=grad_keep[1:])
        return grad_keep, flow


def recurrence(keep: Tensor, new: Tensor) -> Tensor:
    """All states of h_t = keep_t * h_(t-1) + new_t, both (T, …) with time first; differentiable once.

    ``keep`` of the first row has nothing to keep and is not used.
    """
    states: Tensor = _Recurrence.apply(keep, new)  # type: ignore[no-untyped-call]
    return states
