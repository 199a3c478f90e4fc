from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from forecast.errors import ConfigError, DataError, DownloadError, ForecastWarning
from forecast.ingest import catalog
from forecast.ingest.card import make_card
from forecast.resources import datasets_dir
from forecast.timeline import fit_timeline

OFFLINE = [name for name, card in catalog.cards().items() if card.offline]
ENTRIES = {
    "title": "T",
    "description": "D",
    "source": "S",
    "licence": "L",
    "kind": "download",
    "url": ["https://example.org/a.csv"],
    "layout": "columns",
    "columns": {"ds": "date", "y": ["a"]},
    "freq": "D",
    "h": 7,
    "season_length": 7,
    "series": 1,
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("FORECAST_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def value(frame: pd.DataFrame, series: str, stamp: str) -> float:
    [found] = frame.loc[(frame["unique_id"] == series) & (frame["ds"] == stamp), "y"]
    return found


# --- cards ---


def test_there_is_a_card_for_every_set_that_was_promised():
    m4 = {f"m4_{freq}" for freq in ("yearly", "quarterly", "monthly", "weekly", "daily", "hourly")}
    m3 = {f"m3_{freq}" for freq in ("yearly", "quarterly", "monthly", "other")}
    tourism = {f"tourism_{freq}" for freq in ("yearly", "quarterly", "monthly")}
    ett = {"etth1", "etth2", "ettm1", "ettm2"}
    offline = {"airpassengers", "elnino", "sunspots", "co2", "macrodata", "nile"}
    assert m4 | m3 | tourism | ett | offline | {"exchange_rate"} <= set(catalog.cards())


@pytest.mark.parametrize("path", sorted(datasets_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_card_is_valid_and_says_who_made_the_data_and_what_may_be_done_with_them(path):
    card = make_card(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")))
    assert card.name == path.stem
    assert len(card.title) <= 80
    assert min(len(card.description), len(card.source)) > 50
    assert len(card.url) == len(card.sha256) == len(card.files)
    assert all(url.startswith("https://") for url in card.url)


def test_every_table_in_the_folder_belongs_to_a_card():
    used = {card.file for card in catalog.cards().values() if card.file}
    assert {path.name for path in datasets_dir().glob("*.csv")} == used


def test_the_competitions_have_their_horizons_and_seasons():
    rules = {name: (card.h, card.season_length) for name, card in catalog.cards().items()}
    assert [rules[f"m4_{f}"] for f in ("yearly", "quarterly", "monthly", "weekly", "daily", "hourly")] == [
        (6, 1), (8, 4), (18, 12), (13, 1), (14, 1), (48, 24)
    ]  # fmt: skip
    assert [rules[f"m3_{f}"] for f in ("yearly", "quarterly", "monthly", "other")] == [
        (6, 1), (8, 4), (18, 12), (8, 1)
    ]  # fmt: skip
    assert [rules[f"tourism_{f}"] for f in ("yearly", "quarterly", "monthly")] == [(4, 1), (8, 4), (24, 12)]


def test_an_unknown_name_gets_the_nearest_ones():
    with pytest.raises(ConfigError, match="Did you mean airpassengers"):
        catalog.card("AirPassenger")
    with pytest.raises(ConfigError, match="The names are airpassengers, co2"):
        catalog.card("zzzzzz")


def test_changing_the_dict_of_cards_does_no_harm():
    catalog.cards().clear()
    assert catalog.cards()


def test_a_minimal_card_is_accepted():
    card = make_card("mine", ENTRIES)
    assert (card.url, card.sha256, card.files) == (("https://example.org/a.csv",), (None,), ("a.csv",))


@pytest.mark.parametrize(
    ("key", "bad", "words"),
    [
        ("title", 3, "title: 3 is not a text"),
        ("licence", " ", "licence: ' ' is not a text"),
        ("kind", "ftp", "kind: 'ftp' is not one of"),
        ("layout", "tall", "layout: 'tall' is not one of"),
        ("columns", ["a"], "columns: .* is not a mapping"),
        ("columns", {"ds": "date"}, r"columns.y: missing"),
        ("columns", {"ds": "date", "y": ["a"], "z": 1}, r"columns.z: unknown key"),
        ("freq", "fortnightly", "freq: .*'fortnightly'"),
        ("freq", 0, "freq: .*at least 1"),
        ("freq", True, "freq: "),
        ("h", 0, "h: 0 is not a whole number"),
        ("h", True, "h: True is not a whole number"),
        ("season_length", "7", "season_length: '7' is not"),
        ("series", 1.5, "series: 1.5 is not"),
        ("rows", -1, "rows: -1 is not"),
        ("url", "https://example.org/a.csv", "not lists"),
        ("url", ["file:///etc/passwd"], "is not an http"),
        ("url", ["https://example.org/"], "is not an http"),
        ("url", ["https://example.org/a/.."], "is not an http"),
        ("url", [], "url: missing"),
        ("sha256", ["abc"], "64 hexadecimal digits"),
        ("sha256", [None, None], "2 checksums for 1 urls"),
        ("file", "a.csv", "file: a shipped table"),
        ("start", 2000, "start: 2000 does not go with freq 'D'"),
        ("start", "soon", "start: 'soon' does not go"),
        ("name", "yours", "name: 'yours' differs"),
        ("colour", "red", "colour: unknown key"),
    ],
)
def test_a_bad_entry_is_named(key, bad, words):
    with pytest.raises(ConfigError, match=words):
        make_card("mine", {**ENTRIES, key: bad})


def test_a_start_off_the_grid_is_refused():
    with pytest.raises(ConfigError, match="not on the grid"):
        make_card("mine", {**ENTRIES, "freq": "W-SUN", "start": "2000-01-01"})  # a Saturday


def test_a_source_without_dates_needs_a_start():
    with pytest.raises(ConfigError, match="start: missing, though layout m4"):
        make_card("mine", {**ENTRIES, "layout": "m4", "columns": {"unique_id": "V1"}})


@pytest.mark.parametrize("name", ["../evil", "A", "", "a b"])
def test_a_name_that_is_no_safe_file_name_is_refused(name):
    with pytest.raises(ConfigError, match="is not made of"):
        make_card(name, ENTRIES)


def test_every_bad_key_of_every_card_is_reported_at_once(tmp_path, monkeypatch):
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({**ENTRIES, "h": 0, "series": 0}))
    (tmp_path / "two.yaml").write_text("a: [")
    (tmp_path / "three.yaml").write_text("- 1\n")
    (tmp_path / "four.yaml").write_text("{}")
    (tmp_path / "five.yaml").write_text(yaml.safe_dump({**ENTRIES, "kind": "shipped", "file": "lost.csv"}))
    monkeypatch.setattr(catalog, "datasets_dir", lambda: tmp_path)
    with pytest.raises(ConfigError) as caught:
        catalog.cards()
    message = str(caught.value)
    for words in ("one.yaml: h:", "one.yaml: series:", "two.yaml: ", "three.yaml: not a mapping", "lost.csv is not in"):
        assert words in message
    assert message.count("four.yaml: ") == 11


def test_reading_the_cards_imports_no_pandas():
    code = "import sys; from forecast.ingest import show; show.list_text(); print('pandas' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.check_output([sys.executable, "-c", code], cwd=root, text=True).strip() == "False"


# --- sets that need no network ---


@pytest.mark.parametrize("name", OFFLINE)
def test_every_offline_set_is_a_clean_long_frame_of_the_size_its_card_says(name):
    card = catalog.card(name)
    frame = catalog.load(name)
    assert list(frame.columns) == ["unique_id", "ds", "y"]
    assert frame["ds"].dtype == "datetime64[us]"
    assert frame["y"].dtype == np.float64
    assert frame["unique_id"].map(type).eq(str).all()
    index = pd.MultiIndex.from_frame(frame[["unique_id", "ds"]])
    assert index.is_unique
    assert index.is_monotonic_increasing
    assert (frame["unique_id"].nunique(), len(frame)) == (card.series, card.rows)
    stamps = frame["ds"].to_numpy()
    timeline = fit_timeline(card.freq, stamps[:1])
    ordinals, exact = timeline.ordinals(stamps)
    assert exact.all()
    same = frame["unique_id"].to_numpy()[1:] == frame["unique_id"].to_numpy()[:-1]
    assert (np.diff(ordinals)[same] == 1).all()  # no step is left out: gaps are NaN rows
    known = frame.groupby("unique_id", observed=True)["y"]
    assert known.apply(lambda y: np.isfinite(y.iloc[[0, -1]]).all()).all()


def test_airpassengers_has_the_printed_values():
    frame = catalog.load("airpassengers")
    assert value(frame, "airpassengers", "1949-01-01") == 112
    assert value(frame, "airpassengers", "1960-12-01") == 432
    sums = frame.groupby(frame["ds"].dt.year)["y"].sum().tolist()
    assert sums == [1520, 1676, 2042, 2364, 2700, 2867, 3408, 3939, 4421, 4572, 5140, 5714]


def test_co2_keeps_its_59_missing_weeks():
    frame = catalog.load("co2")
    assert frame["y"].isna().sum() == 59
    assert value(frame, "co2", "1958-03-29") == 316.1
    assert np.isnan(value(frame, "co2", "1958-05-10"))


def test_elnino_runs_along_the_months_and_then_the_years():
    frame = catalog.load("elnino")
    assert frame["y"].iloc[[0, 1, 12]].tolist() == [23.11, 24.20, 24.19]
    assert value(frame, "elnino", "2010-12-01") == 22.07


def test_yearly_sets_start_where_they_should():
    assert value(catalog.load("nile"), "nile", "1871-01-01") == 1120
    assert value(catalog.load("sunspots"), "sunspots", "1700-01-01") == 5


def test_macrodata_is_a_panel_of_quarters():
    frame = catalog.load("macrodata")
    assert value(frame, "realgdp", "1959-01-01") == 2710.349
    assert value(frame, "unemp", "2009-07-01") == 9.6


def test_grunfeld_series_are_named_by_firm_and_variable():
    frame = catalog.load("grunfeld")
    assert value(frame, "General Motors/invest", "1935-01-01") == 317.6
    assert value(frame, "American Steel/capital", "1954-01-01") == 83.788


def test_fertility_has_no_rows_before_the_first_or_after_the_last_known_year():
    frame = catalog.load("fertility")
    assert value(frame, "Zimbabwe", "1960-01-01") == 7.158
    andorra = frame[frame["unique_id"] == "Andorra"]
    assert andorra["ds"].iloc[0] > pd.Timestamp("1990-01-01")
    assert frame["ds"].max() == pd.Timestamp("2011-01-01")


def test_each_load_gives_a_frame_of_its_own():
    first = catalog.load("nile")
    first["y"] = 0.0
    assert catalog.load("nile")["y"].iloc[0] == 1120


# --- a folder of one's own ---


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def test_an_own_parquet_wins_over_everything(folder):
    stamps = pd.to_datetime(["2000-01-02", "2000-01-01"]).as_unit("ns")
    table = pd.DataFrame({"unique_id": "H1", "ds": stamps, "y": [2.0, 1.0], "split": ["test", "train"]})
    table.to_parquet(folder / "m4_hourly.parquet")
    frame = catalog.load("m4_hourly", folder)
    assert frame["y"].tolist() == [1.0, 2.0]
    assert frame["ds"].dtype == "datetime64[us]"
    assert frame["split"].tolist() == ["train", "test"]
    assert catalog.whereabouts("m4_hourly", folder) == "own folder"


def test_an_own_csv_is_found_through_the_environment(folder, monkeypatch):
    (folder / "nile.csv").write_text("unique_id,ds,y\nNA,1901-01-01,7\nNA,1902-01-01,\n001,1901-01-01,8\n")
    monkeypatch.setenv("FORECAST_DATA_DIR", str(folder))
    frame = catalog.load("nile")
    assert frame["unique_id"].tolist() == ["001", "NA", "NA"]
    np.testing.assert_array_equal(frame["y"], [8, 7, np.nan])


def test_the_argument_wins_over_the_environment(folder, tmp_path, monkeypatch):
    (folder / "nile.csv").write_text("unique_id,ds,y\na,1901-01-01,7\n")
    monkeypatch.setenv("FORECAST_DATA_DIR", str(tmp_path / "nowhere"))
    assert len(catalog.load("nile", folder)) == 1


def test_a_set_that_is_not_in_the_own_folder_is_looked_for_elsewhere(folder):
    assert len(catalog.load("nile", folder)) == 100


def test_an_own_folder_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="from data_dir, is not a folder"):
        catalog.load("nile", tmp_path / "nowhere")
    monkeypatch.setenv("FORECAST_DATA_DIR", "/no/where")
    with pytest.raises(ConfigError, match="FORECAST_DATA_DIR, is not a folder"):
        catalog.load("nile")


def test_an_own_table_without_the_columns_says_which(folder):
    (folder / "nile.csv").write_text("id,ds,value\na,1901-01-01,7\n")
    with pytest.raises(DataError) as caught:
        catalog.load("nile", folder)
    assert [fault.column for fault in caught.value.report] == ["unique_id", "y"]


def test_an_own_table_with_unreadable_times_is_an_error(folder):
    (folder / "nile.csv").write_text("unique_id,ds,y\na,long ago,7\n")
    with pytest.raises(DataError, match="a time cannot be read"):
        catalog.load("nile", folder)


def exchange_rows(count=7588):
    return "".join(f"{n},2,3,4,5,6,7,8\n" for n in range(count))


@pytest.mark.parametrize("place", ["", "exchange_rate/"])
@pytest.mark.parametrize("packed", [True, False])
def test_own_raw_files_are_read_packed_or_not(folder, place, packed):
    (folder / place).mkdir(exist_ok=True)
    body = exchange_rows().encode()
    name = "exchange_rate.txt" + (".gz" if packed else "")
    (folder / place / name).write_bytes(gzip.compress(body) if packed else body)
    frame = catalog.load("exchange_rate", folder)
    assert len(frame) == 60704
    assert value(frame, "australia", 7587) == 7587


def test_a_raw_file_with_only_a_part_of_the_set_gives_a_warning(folder):
    (folder / "exchange_rate.txt").write_text(exchange_rows(10))
    with pytest.warns(ForecastWarning, match="80 rows instead of 60704"):
        assert len(catalog.load("exchange_rate", folder)) == 80


def test_m4_needs_all_its_raw_files_to_count_as_there(folder):
    (folder / "Weekly-train.csv").write_text("V1,V2\nW1,1\n")
    assert catalog.whereabouts("m4_weekly", folder) == "network"
    (folder / "Weekly-test.csv").write_text("V1,V2\nW1,2\n")
    assert catalog.whereabouts("m4_weekly", folder) == "own folder"


# --- downloading, from a server on this machine ---


@pytest.fixture
def put_card(tmp_path, monkeypatch):
    """Put a card into a catalogue of its own."""
    cards = tmp_path / "datasets"
    cards.mkdir()
    monkeypatch.setattr(catalog, "datasets_dir", lambda: cards)

    def put(name, **changes):
        (cards / f"{name}.yaml").write_text(yaml.safe_dump({**ENTRIES, **changes}))

    return put


CSV = b"date,a\n2024-01-01,1\n2024-01-02,2\n"


def test_a_set_is_downloaded_once_verified_and_then_read_from_the_cache(site, put_card, tmp_path):
    digest = hashlib.sha256(CSV).hexdigest()
    put_card("mine", url=[site.file("/a.csv", CSV)], sha256=[digest], rows=2)
    assert catalog.whereabouts("mine") == "network"
    first = catalog.load("mine", progress=False)
    assert first["y"].tolist() == [1, 2]
    assert catalog.whereabouts("mine") == "cache"
    pd.testing.assert_frame_equal(catalog.load("mine", progress=False), first)
    assert site.requests == ["/a.csv"]
    assert (tmp_path / "cache" / "forecast" / "mine" / "a.csv").read_bytes() == CSV


def test_a_cached_file_that_was_changed_is_refused(site, put_card):
    put_card("mine", url=[site.file("/a.csv", CSV)])
    [path] = catalog.fetch("mine", progress=False)
    path.write_bytes(CSV + b"2024-01-03,3\n")
    with pytest.raises(DownloadError, match="first download"):
        catalog.load("mine", progress=False)
    path.unlink()
    path.with_name("a.csv.sha256").unlink()
    assert len(catalog.load("mine", progress=False)) == 2


def test_a_zipped_tsf_is_unpacked_and_split(site, put_card):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        text = "@attribute series_name string\n@attribute start_timestamp date\n@data\nT1:2024-01-01 00-00-00:1,2,3\n"
        archive.writestr("mine.tsf", text)
    put_card(
        "mine", url=[site.file("/a.zip", body.getvalue())], layout="tsf", h=1, columns={"unique_id": "series_name"}
    )
    frame = catalog.load("mine", progress=False)
    assert frame["split"].tolist() == ["train", "train", "test"]
    assert frame["ds"].iloc[-1] == pd.Timestamp("2024-01-03")


def test_a_zip_that_wants_out_of_its_folder_is_refused(site, put_card):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("../evil.tsf", "")
    put_card("mine", url=[site.file("/a.zip", body.getvalue())], layout="tsf", columns={"unique_id": "series_name"})
    with pytest.raises(DownloadError, match="outside"):
        catalog.load("mine", progress=False)


def test_fetch_of_offline_sets_needs_no_network():
    assert catalog.fetch("nile") == []
    assert catalog.fetch("airpassengers") == [datasets_dir() / "airpassengers.csv"]


def test_the_cache_follows_xdg_and_ignores_a_relative_path(monkeypatch, tmp_path):
    assert catalog.cache_dir() == tmp_path / "cache" / "forecast"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert catalog.cache_dir() == Path.home() / ".cache" / "forecast"
