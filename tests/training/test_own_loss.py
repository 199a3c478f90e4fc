"""Nets that judge themselves: their cells are what training and validation average."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from forecast import Training
from forecast.ingest.door import to_panel
from forecast.nets.facts import Facts
from forecast.nets.own_loss import Cells, OwnLoss
from forecast.nets.scaling import scale_window
from forecast.training.module import ForecastModule
from forecast.training.schedule import Budget
from forecast.training.source import build_source
from forecast.windows.gather import Batch
from tests.conftest import seasonal_frame


class Judge(nn.Module):
    """Says that its error is its only weight plus the last known truth of each window; weighs the first cell double."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.asked: list[tuple[Batch, bool]] = []

    def own_loss(self, batch: Batch) -> Cells:
        self.asked.append((batch, self.training))
        error = self.weight + batch.future[:, -1:].expand(-1, 2)
        return Cells(error, torch.tensor([2.0, 0.0]).expand_as(error))

    def forward(self, batch: Batch) -> Tensor:
        raise AssertionError("a net with a loss of its own is not judged on its output")


@pytest.fixture
def module() -> ForecastModule:
    panel = to_panel(seasonal_frame(2, 50))
    settings = Training(max_steps=1, loss="mase")
    return ForecastModule(Judge(), build_source(panel, 12, 3, 12, None), Facts(12, 3), settings, Budget(1, None), 0)


def test_training_takes_the_weighted_mean_of_the_cells_of_windows_that_vary(module):
    past = torch.tensor([[1.0, 2.0, 4.0], [5.0, 5.0, 5.0], [3.0, 1.0, 3.0]])
    batch = Batch(past, None, torch.tensor([[6.0], [9.0], [4.0]]))
    future = scale_window(batch).batch.future[:, 0]
    assert isinstance(module.net, OwnLoss)
    # the constant window teaches nothing; of two cells a window one counts, double
    expected = ((2.0 + future[0]) * 2.0 + (2.0 + future[2]) * 2.0) / 2
    assert module._batch_loss(batch).item() == pytest.approx(expected.item())


def test_validation_hands_over_the_future_in_eval_mode(module, monkeypatch):
    logged = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value.item()}))
    module.eval()
    count = len(module.source.validation)
    module.validation_step(range(count), 0)
    ((batch, training),) = module.net.asked
    assert not training and batch.future.shape == (count, 3)
    assert logged["validation_loss"] == pytest.approx(2.0 * (2.0 + batch.future[:, -1].mean().item()), rel=1e-5)
