"""A training that dies after a checkpoint, for the tests of resuming."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from forecast.training.keeper import Keeper


class Killed(RuntimeError):
    """What the death of the process stands for."""


@contextmanager
def killed_once_saved(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """The training within the block dies right after the first checkpoint at ``step`` or later."""
    save = Keeper._save

    def save_then_die(self, folder, trainer, module):
        save(self, folder, trainer, module)
        if module.done >= step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "_save", save_then_die)
        try:
            yield
        except Killed:
            return
    pytest.fail(f"the training ended before a checkpoint at step {step}")
