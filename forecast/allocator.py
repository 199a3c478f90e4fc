"""The allocator of the process: what is freed is used again instead of going back to the system. Handled once."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

OPT_OUT = "FORECAST_KEEP_MALLOC"
ARROW_POOL = "ARROW_DEFAULT_MEMORY_POOL"
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


@cache
def keep_freed_memory() -> bool:
    """Ask glibc to reuse large freed blocks instead of returning them to the system; once per process.

    A recurrent layer allocates and frees its workspace every step, and so does every pass over a large table; by
    default each goes through ``mmap`` and page faults cost more than half of the training time. The price is resident
    memory (10-45 % seen). Set the environment variable ``FORECAST_KEEP_MALLOC=1`` to leave the allocator alone.
    Arrow, where it is not imported yet, is told to take its memory from there too.
    Returns whether it was changed; other C libraries (musl, macOS, Windows) are left as they are.
    """
    if os.environ.get(OPT_OUT, "") not in ("", "0") or not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    mmap_off = libc.mallopt(M_MMAP_MAX, 0)
    trim_off = libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    os.environ.setdefault(ARROW_POOL, "system")
    return bool(mmap_off and trim_off)
