"""The allocator keeps what is freed, and says so, unless it is told not to."""

from __future__ import annotations

import subprocess
import sys

import pytest

TOUCHED = """
import resource
import numpy as np
from forecast.allocator import keep_freed_memory
kept = keep_freed_memory()
import pyarrow
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(64 * 2**20)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, faults < 100, pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
@pytest.mark.parametrize(
    ("settings", "told"), [({}, "True True system"), ({"FORECAST_KEEP_MALLOC": "1"}, "False False")]
)
def test_memory_is_touched_once_unless_the_allocator_is_to_be_left_alone(settings, told, monkeypatch):
    for name in ("FORECAST_KEEP_MALLOC", "ARROW_DEFAULT_MEMORY_POOL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", TOUCHED], capture_output=True, text=True, check=True)
    if done.stdout.startswith("False") and not settings:
        pytest.skip("another C library")
    assert done.stdout.startswith(told)
