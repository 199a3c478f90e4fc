"""What a store of models holds, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecast.batch.models.journal import Journal
from forecast.errors import ArtifactError

if TYPE_CHECKING:
    from forecast.batch.models.store import ModelStore


def described(store: ModelStore, journal: Journal, note: str) -> dict[str, Any]:
    """See :meth:`~forecast.batch.models.store.ModelStore.describe`; ``note`` is what is wrong with the journal."""
    good = store.last_good(besides=())
    rows, problems = [], [note] if note else []
    current = journal.current()
    if current is not None and current not in store.versions():
        problems.append(f"version {current}, the current one, is missing")
    for version in store.versions():
        row = _row(journal, version)
        try:
            model = store.load(version)
        except ArtifactError as error:
            problems.append(f"version {version}: {error}")
            row["state"] = f"{row['state']}, damaged"
        else:
            row |= {"model": model.name, "h": model.task.h}
        rows.append(row)
    return {
        "folder": str(store.folder),
        "current": current,
        "last_good": None if good is None else good.version,
        "versions": rows,
        "problems": problems,
    }


def _row(journal: Journal, version: str) -> dict[str, Any]:
    """What became of ``version``: current, kept (was current before), withdrawn, or published and never promoted."""
    history = [entry for entry in journal.entries if entry.version == version and entry.kind != "published"]
    last = history[-1] if history else None
    if version == journal.current():
        state = "current"
    else:
        state = "published" if last is None else "withdrawn" if last.kind == "withdrawn" else "kept"
    slot = None if last is None or last.slot is None else last.slot.isoformat()
    return {"version": version, "state": state, "slot": slot, "reason": "" if last is None else last.reason}
