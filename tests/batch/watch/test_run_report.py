"""The report of a run: everything in it, nothing outside it, and nothing that could run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecast.batch import points
from forecast.batch.watch.alerts import Alert
from forecast.batch.watch.facts import RunFacts
from forecast.batch.watch.report import render, write_run_report
from forecast.batch.watch.settings import WatchSettings
from forecast.batch.watch.watch import Findings
from forecast.errors import Fault
from tests.batch.watched_shop import Shop, values_of
from tests.report.page import Page

HOSTILE = "<script>alert(1)</script>"
SECRET = "canary-T0PSECRET"
SETTINGS = WatchSettings(recent=3, reference=20)


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> tuple[RunFacts, Findings]:
    """A job's twelfth day, with something in every part of the report."""
    shop = Shop(tmp_path_factory.mktemp("shop"), values_of(4, 80), [HOSTILE, "b", "c\x00\x1b", "$x^2$"])
    shop.settings = SETTINGS
    for day in range(40, 51):
        shop.model_hash = "m1" if day < 47 else "m2"
        shop.publish(day)
    frame = shop.frame(shop.panel(51), shift=1.0)
    frame.loc[frame["unique_id"] == "b", ["source", "reason"]] = ["naive", f"fault {HOSTILE}"]
    facts = shop.publish(51, frame)
    findings = shop.look(facts)
    facts = replace(
        facts,
        exit=3,
        quarantined={
            HOSTILE: Fault("y", f"2 duplicate times {HOSTILE}", "Merge them.", HOSTILE, (4, 5)),
            "b": (Fault("ds", "a gap", "Fill it."), Fault("y", "infinite", "Correct it.")),
            "c": "as text",
        },
        notes=[f"Note {HOSTILE}", f"postgresql://me:{SECRET}@db/x"],
        timings={"reading": 1.5, "forecasts": 61.0},
        model={"name": HOSTILE, "trained": "yesterday"},
        settings={"sink": {"url": f"postgresql://me:{SECRET}@db/x", "password": SECRET}, "h": 3},
    )
    alerts = (*findings.alerts, Alert("range", "critical", f"found {HOSTILE}", HOSTILE, 1.0, 2.0))
    return facts, replace(findings, alerts=alerts)


@pytest.fixture(scope="module")
def text(told) -> str:
    return render(*told, SETTINGS)


def test_the_report_holds_every_part(text: str) -> None:
    page = Page(text)
    parts = {"alerts", "notes", "changes", "forecasts", "accuracy", "intervals", "sources", "quarantined", "history"}
    assert parts | {"run", "model", "settings"} <= set(page.values("id"))
    assert page.tags.count("svg") == 5
    for words in (
        "The run of 2026-02-21 00:00 UTC is published: 4 series forecast, 1 by a fallback, 3 quarantined, ",
        "It has new data.", "unchanged", "y: 2 duplicate times", "rows 4, 5", "Merge them.", "Correct it.", "as text",
        "MASE, last 3 periods", "1 min 02 s", "exit code", "3, done, some series not by the job's own model",
        "new model", "last run", "80 % interval", "data, model",
    ):  # fmt: skip
        assert words in page.text, words


def test_ids_are_unique_and_inner_links_lead_somewhere(text: str) -> None:
    page = Page(text)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = [link for link in page.values("href") + page.values("xlink:href") if link.startswith("#")]
    assert {link[1:] for link in links} <= set(ids)


def test_the_page_needs_no_network_and_runs_nothing(text: str) -> None:
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"']?\s*(?:https?:|//|javascript:)", text)
    assert not re.search(r"@import|url\((?!#)", text)
    page = Page(text)
    assert not {"script", "iframe", "img", "object", "embed", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "default-src 'none'" in text
    assert HOSTILE in page.text  # as text, that is
    assert "\x00" not in text and "\x1b" not in text


def test_no_secret_is_in_the_page(text: str) -> None:
    assert SECRET not in text


def test_the_same_run_gives_the_same_bytes(told, text: str) -> None:
    assert render(*told, SETTINGS) == text


def test_a_failed_run_has_a_page_that_says_why(told) -> None:
    facts, findings = told
    failed = RunFacts("shop", facts.slot, state="failed", exit=8, error=f"StorageError: {HOSTILE} {SECRET}x")
    page = Page(render(failed, Findings(history=findings.history), SETTINGS))
    assert "The run of 2026-02-21 00:00 UTC failed: StorageError" in page.text
    assert "8, storage" in page.text
    assert "svg" not in page.tags


def test_the_first_run_and_a_panel_that_cannot_be_scored_have_a_page(shop_of) -> None:
    shop = shop_of(np.full((2, 80), 5.0))
    facts = shop.publish(40)
    page = Page(render(facts, shop.look(facts), SETTINGS))
    assert "first run of this job" in page.text
    for day in (41, 42, 43):
        facts = shop.publish(day)
    page = Page(render(facts, shop.look(facts), SETTINGS))
    assert "moved by 0 %" in page.text
    assert "intervals" in page.values("id")


def test_many_quarantined_series_do_not_make_the_page_endless(told) -> None:
    many = replace(told[0], frame=None, quarantined={f"id{at}": "bad" * 1000 for at in range(5000)})
    text = render(many, Findings(), SETTINGS)
    assert len(text) < 400_000
    assert "4,950 more quarantined series" in text


def test_integer_times_are_steps(told) -> None:
    """A job whose times are whole numbers has no dates on its axes."""
    from forecast.batch.watch.watch import stamp_text

    assert stamp_text(1234, "step") == "step 1,234"
    assert stamp_text(0, "tick") == "1970-01-01"
    assert stamp_text(3_600_000_000, "tick") == "1970-01-01 01:00"


def test_the_file_is_old_or_new_and_never_half(told, tmp_path: Path, monkeypatch) -> None:
    path, short = tmp_path / "reports" / "run.html", (replace(told[0], frame=None), Findings())
    write_run_report(path, *short, SETTINGS)
    whole = path.read_bytes()

    class Died(BaseException):
        pass

    def die(at: str) -> None:
        raise Died

    monkeypatch.setattr(points, "listener", die)
    with pytest.raises(Died):
        write_run_report(path, *short, SETTINGS)
    monkeypatch.setattr(points, "listener", None)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_run_report(path, *short, SETTINGS)
    assert path.read_bytes() == whole
    assert os.listdir(path.parent) == ["run.html"]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_draws_it(text: str, tmp_path: Path) -> None:
    page, picture = tmp_path / "run.html", tmp_path / "run.png"
    page.write_text(text)
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND",
         f"--user-data-dir={tmp_path / 'profile'}", "--hide-scrollbars", "--window-size=1100,3000",
         f"--screenshot={picture}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert picture.stat().st_size > 60_000
