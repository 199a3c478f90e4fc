from __future__ import annotations

import pytest

from forecast.errors import ConfigError
from forecast.ingest import catalog
from forecast.ingest.show import list_text, show_text


@pytest.fixture(autouse=True)
def no_folder_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.delenv("FORECAST_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_the_list_has_a_line_for_every_data_set():
    lines = list_text().splitlines()
    starts = [line.split()[:2] for line in lines]
    for name, card in catalog.cards().items():
        assert [name, card.kind if card.offline else "network"] in starts


@pytest.mark.parametrize("name", catalog.cards())
def test_show_tells_what_the_card_says(name):
    text = " ".join(show_text(name).split())
    card = catalog.card(name)
    for fact in (card.title, card.description, card.source, card.licence, str(card.freq), *card.url):
        assert fact in text


def test_show_says_when_a_checksum_is_not_known():
    assert "not known: recorded at the first download" in show_text("m3_other")
    assert catalog.card("etth1").sha256[0] in show_text("etth1")


def test_show_of_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="etth1"):
        show_text("eth1")
