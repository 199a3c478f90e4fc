"""What changed between two runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecast.batch.ledger.records import RunRecord

PARTS = ("data", "model", "settings")
Change = tuple[Any, Any]


@dataclass(frozen=True)
class Difference:
    """What differs between ``first`` and ``second``.

    ``changes`` maps a fact's dotted name to its two values (``None`` where a run has none of that name). Those of the
    data, the model and the settings begin with ``data.``, ``model.`` and ``settings.``; the others are numbers and
    notes of the runs themselves.
    """

    first: RunRecord
    second: RunRecord
    changes: Mapping[str, Change]

    @classmethod
    def of(cls, first: RunRecord, second: RunRecord) -> Difference:
        """Compare two runs."""
        left, right = _facts(first), _facts(second)
        names = sorted({*left, *right})
        return cls(first, second, {n: (left.get(n), right.get(n)) for n in names if left.get(n) != right.get(n)})

    @property
    def new_data(self) -> bool:
        """Whether they used other rows."""
        return self.first.data_hash != self.second.data_hash

    @property
    def new_model(self) -> bool:
        """Whether they used another model."""
        return self.first.model_hash != self.second.model_hash

    @property
    def new_settings(self) -> bool:
        """Whether the job was set up in another way."""
        return self.first.config_hash != self.second.config_hash

    def part(self, name: str) -> dict[str, Change]:
        """The changes of ``"data"``, ``"model"`` or ``"settings"``, without that word; ``""`` gives all others."""
        if name:
            return {
                key.removeprefix(f"{name}."): pair for key, pair in self.changes.items() if key.startswith(f"{name}.")
            }
        heads = tuple(f"{part}." for part in PARTS)
        return {key: pair for key, pair in self.changes.items() if not key.startswith(heads)}


def _facts(run: RunRecord) -> dict[str, Any]:
    return {**flat(run.facts), **flat({"counts": run.counts}), "cutoff": run.cutoff, "seconds": run.seconds}


def flat(facts: Mapping[str, Any], head: str = "") -> dict[str, Any]:
    """Nested facts as one level with dotted names.

    >>> flat({"data": {"rows": 3}, "note": "late"})
    {'data.rows': 3, 'note': 'late'}
    """
    level: dict[str, Any] = {}
    for name, value in facts.items():
        level |= flat(value, f"{head}{name}.") if isinstance(value, Mapping) else {f"{head}{name}": value}
    return level
