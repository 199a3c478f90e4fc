"""Shops to watch over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.batch.watched_shop import Shop, cells_of, values_of

MakeShop = Callable[..., Shop]


@pytest.fixture
def shop_of(tmp_path: Path) -> MakeShop:
    def make(
        values: np.ndarray | None = None, ids: list[Any] | None = None, name: str = "a", url: str | None = None
    ) -> Shop:
        folder = tmp_path / name
        folder.mkdir()
        return Shop(folder, values_of(3, 200) if values is None else values, ids, url)

    return make


@pytest.fixture
def cells() -> Callable[[Shop], pd.DataFrame]:
    return cells_of


@pytest.fixture
def values() -> Callable[..., np.ndarray]:
    return values_of
