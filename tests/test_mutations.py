"""The mutation gate itself (``python -m tests.mutations`` runs it): every mistake still finds its place in the source."""

from __future__ import annotations

import ast

import pytest

from tests.mutations import CHOSEN, MUTATIONS, ROOT, Mutation

KINDS = [
    "zero forecasts",
    "crossing quantiles",
    "all-zero quantiles",
    "contamination",
    "horizon steps reversed",
    "update() ignores data",
    "peek one step",
    "scaler fitted on all data",
    "off-by-one window",
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_finds_its_text_once_and_leaves_a_program(mutation):
    source = (ROOT / mutation.file).read_text(encoding="utf-8")
    changed = mutation.applied(source)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


def test_every_kind_of_mistake_is_among_the_mutations():
    assert all(any(mutation.name.startswith(kind) for mutation in MUTATIONS) for kind in KINDS)
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize("test", CHOSEN)
def test_a_chosen_test_is_there(test):
    path, _, name = test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("found", ["no such text", "self"])
def test_a_mutation_whose_text_is_not_there_once_is_refused(found):
    source = (ROOT / MUTATIONS[0].file).read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="once is needed"):
        Mutation("m", MUTATIONS[0].file, found, "").applied(source)
