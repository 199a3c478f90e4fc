"""Ids of series as bytes of JSON, and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ArtifactError, printable

Array = npt.NDArray[Any]


def check_ids(ids: pd.Index) -> None:
    """Raise ``ArtifactError`` for ids that cannot be saved: worth knowing before training."""
    ids_json(ids)


def ids_json(ids: pd.Index) -> bytes:
    """A JSON list of text and whole numbers. Raises ``ArtifactError`` for other ids."""
    values = ids.tolist()
    if not all(isinstance(value, (str, int)) for value in values):
        raise ArtifactError(f"ids of dtype {ids.dtype} cannot be saved exactly. Convert them to text or integers.")
    try:
        return json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ArtifactError(f"the id {printable(error.object, 40)} holds half a character. Rename it.") from error


def restored_ids(array: Array) -> pd.Index:
    """The ids that :func:`ids_json` wrote. Raises ``ArtifactError`` for anything else."""
    if array.dtype != np.uint8 or array.ndim != 1:
        raise ArtifactError("The saved history is inconsistent: its ids are not text.")
    values = json.loads(array.tobytes())
    if not isinstance(values, list) or not all(isinstance(value, (str, int)) for value in values):
        raise ArtifactError("The saved history is inconsistent: its ids are not a list of texts or whole numbers.")
    ids = pd.Index(values)
    if not ids.is_unique:
        raise ArtifactError("The saved history is inconsistent: two series have one id.")
    return ids
