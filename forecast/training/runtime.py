"""The process that training runs in: allocator and threads, handled once."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

OPT_OUT = "FORECAST_KEEP_MALLOC"
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


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


@cache
def keep_freed_memory() -> bool:
    """Ask glibc to reuse large freed blocks instead of returning them to the system; once per process.

    A recurrent layer allocates and frees its workspace every step; by default each goes through ``mmap`` and page
    faults cost more than half of the training time. The price is resident memory (10-45 % seen). Set the
    environment variable ``FORECAST_KEEP_MALLOC=1`` to leave the allocator alone. Returns whether it was changed;
    other C libraries (musl, macOS, Windows) are left as they are.
    """
    if os.environ.get(OPT_OUT, "") not in ("", "0") or not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    mmap_off = libc.mallopt(M_MMAP_MAX, 0)
    trim_off = libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    return bool(mmap_off and trim_off)
