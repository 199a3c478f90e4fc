"""The process that training runs in: devices, precision and threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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

    Native means avx512_bf16 or amx_bf16 on a processor; emulated, bfloat16 is slower than float32.
    """
    if precision != "auto":
        return precision == "bf16"
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.12 and later tell
    return device == "cpu" and any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
