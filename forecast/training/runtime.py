"""The process that training runs in: devices, precision and threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from forecast.processor import native_bf16


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Torch uses ``count`` threads within the block (``None``: as many as before)."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_type(accelerator: str) -> str:
    """The kind of device that Lightning's ``accelerator`` comes to on this machine."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "cuda"
    return "cpu" if accelerator in ("auto", "cpu") else accelerator


def in_bf16(precision: str, device: str) -> bool:
    """Whether to train in bfloat16 (autocast): told to, or with ``auto`` where the device computes in it natively.

    Of a processor :func:`forecast.processor.native_bf16` tells.
    """
    if precision != "auto":
        return precision == "bf16"
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device == "cpu" and native_bf16()
