"""A job's settings: read strictly, merged with their defaults, never showing a secret."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from forecast import ConfigError, Schema
from forecast.batch.contract import Contract
from forecast.batch.job import Job
from forecast.batch.ledger.masking import scrubbed
from forecast.batch.misfire import Policy
from forecast.batch.models.gate import Gate
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.opening import job_of, open_job
from forecast.batch.settings import default_settings, from_mapping, job_settings, parse
from forecast.batch.sinks.folder import FolderSink
from forecast.batch.slots import Schedule
from forecast.batch.watch.settings import WatchSettings
from forecast.batch.when import instant, latest_slot, slots_between
from forecast.models import build, from_config
from forecast.resources import conf_dir
from forecast.training.settings import Training
from tests.batch.shop import sales_job

GIVEN = {"h": 7, "freq": "D", "source": {"files": "data/*.csv"}, "model": {"name": "seasonal_naive"}}
CANARY = "Canary-7f3a/secret"


@pytest.fixture
def job_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "conf" / "batch" / "nightly.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(GIVEN))
    return path


def job_from(**changes) -> Job:
    return job_of(from_mapping({**GIVEN, **changes}, "nightly"))


def test_the_shipped_defaults_are_those_of_the_classes():
    """default.yaml is what people read: it has every key of the classes with the default that they have."""
    values = default_settings()
    for cls, section, besides in (
        (Contract, values["contract"], set()),
        (WatchSettings, values["watch"], {"enabled", "report", "webhook"}),
        (Policy, values["schedule"], {"cron", "zone"}),
        (Gate, values["model"]["gate"], {"enabled"}),
        (Schema, values["schema"], set()),
    ):
        given = {key: value for key, value in section.items() if key not in besides}
        fields = set(cls.__dataclass_fields__) - ({"on_bad_series"} if cls is Schema else set())
        assert set(given) == fields, cls
        assert build(cls, given) == cls(), cls
    assert job_from().model == ModelPolicy(model=from_config({"_target_": "forecast.baselines.naive.SeasonalNaive"}))


def test_a_job_of_a_file_is_the_job_of_plain_python(job_file):
    from forecast.batch.files import FileSource

    there = open_job("nightly")
    model = from_config({"_target_": "forecast.baselines.naive.SeasonalNaive"})
    here = Job("nightly", FileSource("data/*.csv"), 7, "D", model)
    assert there.facts() == here.facts() and there.config_hash == here.config_hash
    assert there.ledger_url == here.ledger_url and there.home == here.home == Path("batch/nightly")


def test_a_job_is_found_by_name_and_by_path(job_file, tmp_path, monkeypatch):
    assert open_job("nightly").name == open_job(str(job_file)).name == "nightly"
    monkeypatch.setenv("FORECAST_JOBS", str(tmp_path / "jobs"))
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "hourly.yaml").write_text(yaml.safe_dump({**GIVEN, "freq": "h"}))
    assert open_job("hourly").freq == "h"
    with pytest.raises(ConfigError, match=r"no job 'weekly'.*conf/batch/weekly.yaml.*jobs/weekly.yaml"):
        open_job("weekly")


def test_the_jobs_that_ship_with_the_package_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = [path.stem for path in (conf_dir() / "batch").glob("*.yaml") if path.stem != "default"]
    assert "elnino" in shipped
    for name in shipped:
        assert open_job(name).name == name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "nightly\n", "a b", "-x", "\0", "..", "CON:"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ConfigError, match=r"job="):
        job_settings(name)


@given(st.text(max_size=80))
def test_no_name_of_a_job_leads_out_of_its_folder(name):
    try:
        job = job_from(name=name)
    except ConfigError:
        return
    assert job.home.parent == Path("batch") and len(job.home.parts) == 2 and job.home.name not in (".", "..")


def test_settings_of_the_command_line_win(job_file):
    job = open_job("nightly", ["h=14", "level=[90]", "model.gate.enabled=false", "sink.folder=out", "watch.recent=3"])
    assert (job.h, job.level, job.model.gate, job.watch.recent) == (14, (90.0,), None, 3)
    assert isinstance(job.sink, FolderSink)


def test_every_unknown_key_is_named_with_the_nearest(job_file):
    with pytest.raises(ConfigError) as caught:
        open_job("nightly", ["horizon=7", "sink.foldr=x", "watch.psii=1"])
    text = str(caught.value)
    assert "'horizon'" in text and "'sink.foldr' (did you mean 'sink.folder'?)" in text and "'watch.psi'" in text


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("h=0", "h=0"),
        ("h=seven", "h='seven'"),
        ("freq=Q3", "freq='Q3'"),
        ("freq=null", "freq of job nightly is not set"),
        ("level=[101]", "level"),
        ("zone=Mars", "Mars"),
        ("delay=soon", "delay"),
        ("chunk=0", "chunk"),
        ("patience=-1", "patience"),
        ("progress=perhaps", "progress"),
        ("model=lstm", "model is a section"),
        ("model.name=lstmm", "Did you mean 'lstm'"),
        ("model.settings.hidden=3", "no 'hidden'"),
        ("model.training.batch_size=-1", "batch_size"),
        ("model.training.batchsize=1", "batchsize"),
        ("model.trainer=fast", "no training settings 'fast'"),
        ("model.gate.metric=owa", "owa"),
        ("contract.ids=3", "contract.ids"),
        ("contract.columns.y=float", "columns"),
        ("schedule.cron=daily", "cron"),
        ("schedule.catchup=some", "catchup"),
        ("watch.enabled=perhaps", "watch.enabled"),
        ("watch.webhook=ftp://x", "webhook"),
        ("source.files=null", "no source"),
        ("source.url=sqlite:///x.db", "source.files and source.url"),
        ("sink.format=xml", "xml"),
        ("sink.url=nonsense", "URL"),
        ("h", "not a setting"),
        ("..=1", "not a setting"),
        ("h=[1", "h, line 1"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_its_name(job_file, override, words):
    extra = ["sink.folder=out"] if override.startswith("sink.format") else []
    with pytest.raises(ConfigError, match=r"(?s).*" + words.replace("[", r"\[")):
        open_job("nightly", [override, *extra])


def test_text_stays_text_and_numbers_are_numbers():
    text = "a: 02:30\nb: no\nc: 2026-01-31\nd: 007\ne: 1e-3\nf: [80, 90.5]\ng: ~\nh:\ni: true\nj: -4\nk: on"
    assert parse(text, "x") == {
        "a": "02:30", "b": "no", "c": "2026-01-31", "d": "007", "e": 0.001, "f": [80, 90.5], "g": None, "h": None,
        "i": True, "j": -4, "k": "on",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x",
        "a: !!python/object/apply:os.system ['true']",
        "a: 1\na: 2",
        "? [1]\n: 2",
        "a: [",
        "a: " + "9" * 6000,
        "[" * 2000,
        "a: " + "{b: " * 30 + "1" + "}" * 30,
        "\x00",
    ],
)
def test_yaml_that_is_more_than_plain_values_is_refused(text):
    with pytest.raises(ConfigError, match="^x"):
        parse(text, "x")


def test_a_file_that_is_no_settings_is_refused_without_quoting_it(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(f"sink:\n  url: postgresql://u:{CANARY}@h/db\n url: [\n")
    with pytest.raises(ConfigError, match="line 3") as caught:
        open_job(path)
    assert CANARY not in str(caught.value) and caught.value.__cause__ is None
    path.write_text("- h\n")
    with pytest.raises(ConfigError, match="key: value"):
        open_job(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        open_job(path)
    path.write_text("a: 1\n" * 300_000)
    with pytest.raises(ConfigError, match="bytes"):
        open_job(path)


def test_nothing_but_our_models_is_built(job_file):
    for name in ("os.system", "_target_", "forecast.nets.lstm.LSTM"):
        with pytest.raises(ConfigError):
            open_job("nightly", [f"model.name={name}"])
    with pytest.raises(ConfigError, match="_target_"):
        open_job("nightly", ["model.settings._target_=os.system"])


def test_variables_of_the_environment_are_put_in_and_never_kept(job_file):
    given = {**GIVEN, "sink": {"url": "postgresql://me:${oc.env:PASSWORD}@${oc.env:HOST,localhost}/db"}}
    settings = from_mapping(given, "nightly", {"PASSWORD": CANARY.replace("/", "%2F")})
    assert settings.values["sink"]["url"] == f"postgresql://me:{CANARY.replace('/', '%2F')}@localhost/db"
    assert "Canary" not in str(settings.shown)
    with pytest.raises(ConfigError, match="PASSWORD"):
        from_mapping(given, "nightly", {})
    literal = from_mapping({**GIVEN, "zone": "${oc.decode:1}"}, "nightly", {})
    assert literal.values["zone"] == "${oc.decode:1}"  # no other resolver is there


@pytest.mark.parametrize(
    "given",
    [
        {"sink": {"url": f"postgresql://me:{CANARY}@h/db"}},
        {"sink": {"url": f"postgresql://h/db?password={CANARY}"}},
        {"source": {"params": {"api_key": CANARY, "password": CANARY}}},
        {"watch": {"webhook": f"https://hooks.example.org/services/{CANARY}?token={CANARY}"}},
        {"watch": {"webhook": f"https://me:{CANARY}@hooks.example.org/"}},
        {"watch": {"webhook": f"${{oc.env:HOOK,https://hooks.example.org/{CANARY}}}"}},
        {"sink": {"url": f"${{oc.env:URL,postgresql://me:{CANARY}@h/db}}", "password": f"${{oc.env:PW,{CANARY}}}"}},
        {"source": {"params": {"password": [CANARY, (CANARY,)]}}},
        [f"sqlite:///x?key={CANARY}&secret={CANARY}"],
    ],
)
def test_secrets_are_masked_wherever_they_stand(given):
    if isinstance(given, list):
        given = {"x": [f"host=h password={CANARY} user=u"]}
    assert "Canary" not in str(scrubbed(given))


def test_only_what_forecasts_depend_on_is_in_the_hash_of_the_settings(tmp_path):
    job = sales_job(tmp_path)
    same = [
        replace(job, folder=tmp_path / "elsewhere"),
        replace(job, sink=FolderSink(tmp_path / "other", "csv")),
        replace(job, ledger="sqlite:///other.db"),
        replace(job, schedule=Schedule("0 6 * * *"), misfire=Policy("all")),
        replace(job, watch=WatchSettings(recent=1), report=False, webhook="https://example.org/x"),
        replace(job, chunk=3, patience=9.0, progress=True, keep_models=9),
        replace(job, model=replace(job.model, refresh_after="7D", gate=None)),
    ]
    assert {other.config_hash for other in same} == {job.config_hash}
    others = [
        replace(job, h=8),
        replace(job, freq="B"),
        replace(job, zone="Europe/Rome"),
        replace(job, delay="2h"),
        replace(job, known_col="came"),
        replace(job, schema=Schema(missing="zero")),
        replace(job, contract=Contract(max_value=9.0)),
        replace(job, season_length=30),
        replace(job, level=(90,)),
        replace(job, quantiles=(0.1,)),
        replace(job, seed=1),
        replace(job, model="naive"),
        replace(job, model=ModelPolicy("lstm", training=Training(max_steps=2))),
        replace(job, model=ModelPolicy("lstm", training=Training(max_steps=3))),
    ]
    hashes = [job.config_hash, *(other.config_hash for other in others)]
    assert len(set(hashes)) == len(hashes)


def test_a_job_shows_what_it_is_made_of(tmp_path):
    facts = sales_job(tmp_path).shown()
    assert facts["h"] == 7 and facts["sink"]["path"] == str(tmp_path / "out") and facts["source"]["kind"] == "function"


@pytest.mark.parametrize(
    ("value", "zone", "expected"),
    [
        ("2026-01-31", "UTC", "2026-01-31T00:00"),
        ("2026-01-31T06:00", "Asia/Tokyo", "2026-01-30T21:00"),
        ("2026-01-31T06:00+01:00", "Asia/Tokyo", "2026-01-31T05:00"),
        ("2026-03-29 02:30", "Europe/Berlin", "2026-03-29T01:00"),  # skipped by the change of clocks
        ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30"),  # there twice
        (datetime(2026, 1, 31, 6, tzinfo=UTC), "Asia/Tokyo", "2026-01-31T06:00"),
        (pd.Timestamp("2026-01-31"), "UTC", "2026-01-31T00:00"),
    ],
)
def test_a_time_is_taken_on_the_clock_of_the_job(value, zone, expected):
    assert instant(value, zone) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("value", ["soon", "", 3, True, float("nan"), pd.NaT, [], "9999999-01-01"])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ConfigError, match="as_of="):
        instant(value, "UTC")


AT = datetime(2026, 3, 29, 22, 17, tzinfo=UTC)  # a Sunday; in Berlin 00:17 on Monday, a day after clocks went forward


@pytest.mark.parametrize(
    ("freq", "slot", "count"),
    [
        ("D", "2026-03-29T22:00", 19),
        ("h", "2026-03-29T22:00", 457),
        ("15min", "2026-03-29T22:15", 1825),
        ("MS", "2026-02-28T23:00", 1),
        ("ME", "2026-02-27T23:00", 1),
        ("W-SUN", "2026-03-28T23:00", 3),
        ("B", "2026-03-29T22:00", 13),
        ("QS", "2025-12-31T23:00", 1),
        (1, "2026-03-29T22:00", 19),
    ],
)
def test_without_a_schedule_every_step_is_a_slot(tmp_path, freq, slot, count):
    job = sales_job(tmp_path, freq=freq, zone="Europe/Berlin")
    expected = datetime.fromisoformat(slot).replace(tzinfo=UTC)
    assert latest_slot(job, AT) == expected
    assert latest_slot(job, expected) == expected
    first, last = instant("2026-03-20", "UTC"), instant("2026-04-08", "UTC")
    slots = slots_between(job, first, last)
    assert len(slots) == count and slots == sorted(set(slots)) and first <= slots[0] and slots[-1] <= last
    assert (expected in slots) == (first <= expected)
