"""The series of the run before."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.batch.idsets import keep_ids, kept_ids, vanished_and_new
from forecast.errors import ForecastWarning


@given(st.lists(st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1)), unique=True, max_size=8), st.randoms())
def test_ids_come_back_as_they_were_whatever_their_order(tmp_path_factory, ids, chance):
    folder = tmp_path_factory.mktemp("ids")
    name = keep_ids(folder, pd.Index(ids, dtype=object))
    chance.shuffle(ids)
    assert keep_ids(folder, pd.Index(ids, dtype=object)) == name
    back = kept_ids(folder, name)
    assert back is not None and set(back) == set(ids)
    gone, new = vanished_and_new(back, pd.Index(ids, dtype=object))
    assert not len(gone) and not len(new)


def test_one_set_takes_one_file_however_many_runs_had_it(tmp_path):
    names = {keep_ids(tmp_path, pd.Index(ids)) for ids in (["a", "b"], ["b", "a"], ["a", "b", "c"])}
    assert len(names) == 2 and len(list(tmp_path.iterdir())) == 2


def test_series_that_are_new_or_gone_are_told_apart_and_types_count():
    gone, new = vanished_and_new(pd.Index([1, 2, 3]), pd.Index([3, 4]))
    assert gone.tolist() == [1, 2] and new.tolist() == [4]
    gone, new = vanished_and_new(pd.Index([1]), pd.Index(["1"]))
    assert gone.tolist() == [1] and new.tolist() == ["1"]


def test_a_missing_file_says_nothing_and_a_damaged_one_is_told_and_not_believed(tmp_path):
    name = keep_ids(tmp_path, pd.Index(["a", "b"]))
    assert kept_ids(tmp_path, "0" * 32) is None and kept_ids(tmp_path, None) is None
    assert kept_ids(tmp_path, "../../etc/passwd") is None
    path = next(tmp_path.iterdir())
    path.write_text('["a"]')
    with pytest.warns(ForecastWarning, match="damaged"):
        assert kept_ids(tmp_path, name) is None
    assert keep_ids(tmp_path, pd.Index(["a", "b"])) == name
    assert kept_ids(tmp_path, name).tolist() == ["a", "b"]
