"""A small job, run day by day with a real ledger and a real sink, and rows that arrive, change and go missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.batch.form import Form
from forecast.batch.key import Publication, RunKey
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.sinks.folder import FolderSink
from forecast.batch.watch.facts import RunFacts
from forecast.batch.watch.settings import WatchSettings
from forecast.batch.watch.store import Store
from forecast.batch.watch.watch import Findings, watch
from forecast.panel.panel import Panel
from forecast.timeline import fit_timeline

START = datetime(2026, 1, 1, tzinfo=UTC)
SEASON, H = 7, 3
Z = {"80": 1.2815515655446004, "95": 1.959963984540054}
Q = {"0.1": -1.2815515655446004, "0.9": 1.2815515655446004}


def values_of(series: int, days: int, seed: int = 0, noise: float = 1.0) -> np.ndarray:
    """A week's shape at a level of each series' own, and noise; shape (series, days)."""
    rng = np.random.default_rng(seed)
    level = 20.0 * (1 + np.arange(series))[:, None]
    week = 5 * np.sin(2 * np.pi * np.arange(days) / 7)
    return level + week + noise * rng.normal(size=(series, days))


class Shop:
    """Days are counted from 2026-01-01; the run of day ``d`` knows the rows up to day ``d - 1``.

    ``values`` (series, days) may be changed between runs: what a run sees is what stands there when it runs. NaN is a
    row that has not arrived. ``distort`` changes a run's forecasts.
    """

    def __init__(self, folder: Path, values: np.ndarray, ids: list[Any] | None = None, url: str | None = None) -> None:
        self.values = values.copy()
        self.ids = pd.Index(ids or [f"s{number}" for number in range(len(values))])
        self.ledger = Ledger(url or f"sqlite:///{folder / 'ledger.db'}").open()
        self.sink = FolderSink(folder / "out")
        self.store = Store(self.ledger.engine)
        self.settings = WatchSettings()
        self.model_hash, self.config_hash = "m1", "c1"
        self.absent: set[Any] = set()

    def panel(self, day: int) -> Panel:
        """What is known on ``day``."""
        there = np.array([name not in self.absent for name in self.ids])
        values = self.values[there, :day]
        timeline = fit_timeline("D", np.array(["2026-01-01"], dtype="datetime64[us]"))
        first, _ = timeline.ordinals(np.array(["2026-01-01"], dtype="datetime64[us]"))
        offsets = np.arange(len(values) + 1, dtype=np.int64) * day
        return Panel(self.ids[there], values.ravel(), offsets, np.repeat(first, len(values)), timeline)

    def frame(self, panel: Panel, spread: float = 1.4, shift: float = 0.0, model: str = "own") -> pd.DataFrame:
        """Seasonal-naive forecasts of all series, with intervals and quantiles."""
        days = int(panel.lengths[0])
        last = panel.values.reshape(len(panel), days)[:, -SEASON:]
        last = np.where(np.isnan(last), np.nanmean(last, axis=1, keepdims=True), last)
        mean = last[:, np.arange(H) % SEASON].ravel() + shift
        stamps = panel.timeline.stamps(panel.last[0] + 1 + np.arange(H))
        columns: dict[str, Any] = {
            "unique_id": panel.ids.repeat(H),
            "cutoff": panel.timeline.stamps(panel.last[:1])[0],
            "ds": np.tile(stamps, len(panel)),
            "step": np.tile(np.arange(1, H + 1), len(panel)),
            "model": model,
            "mean": mean,
        }
        for side, sign in (("lo", -1), ("hi", 1)):
            columns |= {f"{side}-{level}": mean + sign * z * spread for level, z in Z.items()}
        columns |= {f"q-{q}": mean + z * spread for q, z in Q.items()}
        frame = pd.DataFrame({**columns, "source": model, "reason": ""})
        outputs = [name for name in frame.columns if name == "mean" or name.startswith(("lo-", "hi-", "q-"))]
        return Form.of(panel.ids, pd.DatetimeIndex(stamps), outputs).conform(frame)

    def publish(self, day: int, frame: pd.DataFrame | None = None, **how: Any) -> RunFacts:
        """Run ``day`` up to its commit."""
        panel = self.panel(day)
        frame = self.frame(panel, **how) if frame is None else frame
        slot = START + timedelta(days=day)
        data_hash = f"{abs(hash(panel.values.tobytes())):x}"
        key = RunKey("shop", slot, data_hash, self.model_hash, self.config_hash)
        cutoff = frame["cutoff"].max()
        with self.ledger.held("shop", slot) as claim:
            planned = self.ledger.plan(claim, key, cutoff, {"model": {"name": "own"}})
            outputs = [name for name in frame.columns if name == "mean" or name.startswith(("lo-", "hi-", "q-"))]
            form = Form.of(pd.Index(frame["unique_id"]), pd.DatetimeIndex(frame["ds"]), outputs)
            publication = Publication(planned.run, "shop", slot, planned.version, claim.token, cutoff)
            counts = {"series": len(panel), "seconds": 1.0}
            staged = self.sink.stage(publication, form, frame)
            if planned.state != "committed":
                self.ledger.advance(claim, planned.run, "computed")
                self.ledger.advance(claim, planned.run, "staged")
            self.sink.commit(staged, lambda c: self.ledger.confirm(claim, planned.run, c, counts=counts))
        sources = frame.drop_duplicates("unique_id")["source"].value_counts().to_dict()
        return RunFacts(
            "shop", slot, planned.run, planned.version, frame, panel, SEASON, cutoff=cutoff, data_hash=data_hash,
            model_hash=self.model_hash, config_hash=self.config_hash, counts=sources,
        )  # fmt: skip

    def look(self, facts: RunFacts) -> Findings:
        """Watch over a run."""
        return watch(facts, self.ledger, self.sink, self.settings)

    def run(self, day: int, **how: Any) -> Findings:
        """Publish and watch."""
        return self.look(self.publish(day, **how))

    @property
    def current(self) -> list[str]:
        """The current run of every slot."""
        return list(self.ledger.committed("shop")["run"])


def cells_of(shop: Shop) -> pd.DataFrame:
    """Every sum there is, in a fixed order."""
    sums = shop.store.cells(shop.current)
    keys = {"points": [], "levels": ["level"], "quantiles": ["q"]}
    parts = [
        getattr(sums, name).sort_values(["run", "step", "source", "target", *more], ignore_index=True)
        for name, more in keys.items()
    ]
    return pd.concat(parts, keys=keys)
