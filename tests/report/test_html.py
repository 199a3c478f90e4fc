from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import forecast
from forecast.errors import DataError
from forecast.panel.panel import Panel
from forecast.report.html import ModelCard, Report, render, write_report

from .conftest import make_cv, make_panel
from .page import Page

HOSTILE = "<script>alert(1)</script>"
CURVES = [
    {"step": 10 * i, "seconds": 1.5 * i, "train_loss": 1 / i, "validation_loss": 1.2 / i, "gradient_norm": 2 / i}
    for i in range(1, 9)
]
LAYERS = [{"layer": "encoder", "kind": "LSTM", "shape": "24 × 64", "parameters": 16896}]


def full(panel: Panel, cv: pd.DataFrame, **changes: Any) -> Report:
    facts = {
        "kind": "SegRNN",
        "curves": CURVES,
        "layers": LAYERS,
        "parameters": 16896,
        "seconds": 61.9,
        "reasons": {"too short": 2},
    }
    values: dict[str, Any] = {
        "title": "Five series", "cv": cv, "history": panel, "season_length": 12,
        "models": [ModelCard("segrnn", facts), ModelCard("seasonal_naive", {"kind": "SeasonalNaive"})],
        "configuration": {"model": {"name": "segrnn"}, "seed": 1}, "versions": {"forecast": "0.1.0"},
        "warnings": ["One series was short."],
    }  # fmt: skip
    return Report(**values | changes)


def test_the_report_holds_every_part(panel: Panel, cv: pd.DataFrame) -> None:
    page = Page(render(full(panel, cv)))
    sections = {
        "ranking",
        "forecasts",
        "horizon",
        "intervals",
        "calibration",
        "training",
        "data",
        "models",
        "configuration",
        "versions",
    }
    assert sections <= set(page.values("id"))
    assert page.tags.count("svg") == 7
    for text in ("Five series", "segrnn is the most accurate", "16,896 parameters", "1 min 02 s", "name: segrnn",
                 "One series was short.", "2 forecasts of segrnn came from a fallback: too short (2)."):  # fmt: skip
        assert text in page.text


def test_ids_are_unique_and_inner_links_lead_somewhere(panel: Panel, cv: pd.DataFrame) -> None:
    page = Page(render(full(panel, cv)))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = [link for link in page.values("href") + page.values("xlink:href") if link.startswith("#")]
    assert {link[1:] for link in links} <= set(ids)


def test_the_page_needs_no_network_and_runs_nothing(panel: Panel, cv: pd.DataFrame) -> None:
    text = render(full(panel, cv))
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"']?\s*(?:https?:|//)", text)
    assert not re.search(r"@import|url\((?!#)", text)
    page = Page(text)
    assert not {"script", "iframe", "img", "object", "embed", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "default-src 'none'" in text


def test_hostile_names_are_harmless_wherever_they_stand() -> None:
    panel = make_panel(
        {HOSTILE: [1.0, 3, 2, 4, 3, 5, 4, 6], '"><img src=x onerror=alert(1)>': range(8), "{{ 7 * 7 }}": [5.0, 2] * 4}
    )
    cv = make_cv(
        panel, 2, **{HOSTILE: lambda known, actual: actual * 1.1, "seasonal_naive": lambda known, actual: known[-2:]}
    )
    cv[f"{HOSTILE}-lo-90"], cv[f"{HOSTILE}-hi-90"] = 0.0, 9.0
    facts = {
        "kind": HOSTILE,
        "curves": CURVES,
        "layers": [{"layer": HOSTILE, "shape": HOSTILE}],
        "reasons": {HOSTILE: 1},
        HOSTILE: HOSTILE,
    }
    text = render(full(panel, cv, season_length=1, title=HOSTILE, models=[ModelCard(HOSTILE, facts)],
                       configuration={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE}, warnings=[HOSTILE, "{% raw %}"]))  # fmt: skip
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "{{ 7 * 7 }}" in page.text


def test_broken_text_can_be_written(panel: Panel, cv: pd.DataFrame, tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", full(panel, cv, title="half \ud800 a pair", warnings=["\x00"]))
    assert "half ? a pair" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_same_rows_in_any_order_give_the_same_bytes(panel: Panel, cv: pd.DataFrame) -> None:
    assert render(full(panel, cv.sample(frac=1, random_state=1))) == render(full(panel, cv))


def small_report() -> Report:
    panel = make_panel({f"s{i}": [1.0 + i, 3, 2, 4, 3, 5, 4, 6 + i] for i in range(4)})
    cv = make_cv(panel, 2, a=lambda known, actual: actual * 1.1, seasonal_naive=lambda known, actual: known[-2:])
    return Report("small", cv, panel, 1, models=[ModelCard("a", {"curves": CURVES})])


def test_another_process_with_another_hash_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    root = Path(forecast.__file__).parents[1]
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(root)}
    program = (
        "import sys; from tests.report.test_html import small_report; from forecast.report.html import write_report\n"
        "write_report(sys.argv[1], small_report())"
    )
    path = tmp_path / "there.html"
    subprocess.run([sys.executable, "-c", program, str(path)], cwd=root, env=environment, check=True)
    assert path.read_bytes() == render(small_report()).encode()


def test_a_frame_that_cannot_be_scored_leaves_the_old_report(panel: Panel, cv: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    path.write_text("old")
    with pytest.raises(DataError):
        write_report(path, full(panel, cv.drop(columns="cutoff")))
    assert path.read_text() == "old"


def test_one_model_one_series_one_step_is_enough() -> None:
    panel = make_panel({"a": [1.0, 3, 2, 4]})
    cv = make_cv(panel, 1, m=lambda known, actual: actual + 1)
    page = Page(render(Report("small", cv, panel, 1)))
    assert page.tags.count("svg") == 2  # nothing to draw by step
    assert "m has a MASE of" in page.text


def test_a_report_without_any_actual_says_so(panel: Panel, cv: pd.DataFrame) -> None:
    page = Page(render(full(panel, cv.assign(y=np.nan), models=[])))
    assert "No model could be scored" in page.text
    assert "60 forecasts had no actual to compare with." in page.text
    assert "svg" not in page.tags


def test_a_report_on_flat_series_ranks_by_mae() -> None:
    panel = make_panel({"a": [2.0] * 6, "b": [3.0] * 6})
    cv = make_cv(panel, 2, m=lambda known, actual: actual + 1, n=lambda known, actual: actual)
    page = Page(render(Report("flat", cv, panel, 1)))
    assert "n is the most accurate: its MAE of 0 is 100 % lower than that of m" in page.text


def test_the_report_draws_in_a_browser(panel: Panel, cv: pd.DataFrame, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium on this machine: the report cannot be drawn")
    write_report(tmp_path / "r.html", full(panel, cv))
    picture = tmp_path / "r.png"
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1100,3000", "--virtual-time-budget=3000", f"--screenshot={picture}",
    ]  # fmt: skip
    subprocess.run([browser, *flags, (tmp_path / "r.html").as_uri()], check=True, capture_output=True, timeout=60)
    assert picture.stat().st_size > 20_000
