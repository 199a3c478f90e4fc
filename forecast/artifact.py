"""Saved models: a folder of safetensors and JSON, every byte under a checksum, no code run on loading.

``model.json`` is the manifest and is written last: it names the other files, which carry part of their checksum in
their name. Saving over an older model therefore never passes through a state that cannot be loaded: until
``model.json`` is replaced the old model is whole, from then on the new one is. Two who save at once take turns: the
folder itself is locked (by the kernel, which lets go when a process dies), so that no lock file is left behind.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from forecast.atomic import as_storage_errors, link, locked, write_bytes, write_text
from forecast.errors import ArtifactError, printable

FORMAT = 1
MANIFEST = "model.json"
LARGEST_MANIFEST = 256 * 2**20
READ_ATTEMPTS = 5
PART_NAME = re.compile(r"^[a-z]+-[0-9a-f]{16}\.safetensors$")

Array = npt.NDArray[Any]
Parts = dict[str, tuple[bytes, str]]  # group: bytes of its file, and their SHA-256


@dataclass(frozen=True)
class Artifact:
    """What a folder holds: plain facts (JSON types) and named groups of arrays."""

    facts: dict[str, Any]
    arrays: dict[str, dict[str, Array]]


def write(folder: str | Path, artifact: Artifact, shared: Mapping[str, Path] | None = None) -> Path:
    """Save ``artifact`` to ``folder``, replacing the model that may be there only once the new one is complete.

    ``shared`` are groups that it has in common with another artefact, in that folder: their files are linked, or copied
    where the disk has no links. They are never changed, so each folder is whole whatever becomes of the other.

    Raises ``ArtifactError`` when the path is a file or a link, or a folder that holds something other than a model,
    and for facts that JSON cannot hold; then nothing is written. Raises ``StorageError`` when the disk refuses; then
    what was there before can still be loaded.
    """
    folder = Path(folder)
    check_place(folder)
    parts: Parts = {}
    for group, arrays in artifact.arrays.items():
        data = safetensors.numpy.save({name: np.ascontiguousarray(value) for name, value in arrays.items()})
        parts[group] = (data, hashlib.sha256(data).hexdigest())
    files: dict[str, Any] = {
        group: {"name": _part_name(group, digest), "sha256": digest, "bytes": len(data)}
        for group, (data, digest) in parts.items()
    }
    sources = {group: Path(other) for group, other in (shared or {}).items()}
    files |= {group: read_manifest(other)["files"][group] for group, other in sources.items()}
    text = _manifest_text(files, artifact.facts)
    with as_storage_errors(folder, len(text) + sum(len(data) for data, _ in parts.values())):
        _place(folder, parts, files, text, {other / files[group]["name"] for group, other in sources.items()})
    return folder


def _place(folder: Path, parts: Parts, files: Mapping[str, Any], text: str, shared: Collection[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        check_place(folder)  # again: somebody may have saved something else while we waited
        for source in shared:
            link(source, folder / source.name)
        for group, (data, digest) in parts.items():
            path = folder / _part_name(group, digest)
            if not path.is_file() or _digest(path) != digest:
                write_bytes(path, data)
        for group, (data, digest) in parts.items():  # where folders cannot be locked, another saver may have tidied up
            if not (folder / _part_name(group, digest)).is_file():
                write_bytes(folder / _part_name(group, digest), data)
        write_text(folder / MANIFEST, text)
        current = {entry["name"] for entry in files.values()}
        for stale in folder.glob("*.safetensors"):
            if PART_NAME.match(stale.name) and stale.name not in current:
                stale.unlink(missing_ok=True)


def check_place(folder: str | Path) -> None:
    """Raise ``ArtifactError`` unless a model can be saved to ``folder``: it is new, empty, or holds a model."""
    folder = Path(folder)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ArtifactError(f"{printable(str(folder))} is not a folder of its own. Save to a new or a model folder.")
    above = next((parent for parent in folder.absolute().parents if parent.exists()), None)
    if above is not None and not above.is_dir():
        raise ArtifactError(f"{printable(str(folder))} lies below a file, {printable(str(above))}. Save elsewhere.")
    if folder.is_dir() and not (folder / MANIFEST).exists():
        strangers = [
            path.name for path in folder.iterdir() if not PART_NAME.match(path.name) and not path.name.endswith(".tmp")
        ]
        if strangers:
            raise ArtifactError(
                f"{printable(str(folder))} holds other files ({printable(strangers[0])}). Save to an empty folder."
            )


def _part_name(group: str, digest: str) -> str:
    return f"{group}-{digest[:16]}.safetensors"


def _manifest_text(files: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    manifest: dict[str, Any] = {"format": FORMAT, "files": files, "facts": facts}
    try:
        manifest["checksum"] = _checksum(manifest)
        text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        text.encode()
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"The model holds a value that cannot be saved: {printable(str(error), 200)}.") from error
    return text


def read(folder: str | Path) -> Artifact:
    """Load what :func:`write` saved.

    Only the manifest and the safetensors files that it names are opened; anything else in the folder is ignored.
    Raises ``ArtifactError`` for a missing, damaged, foreign or too new artefact.
    """
    folder = Path(folder)
    for attempt in range(READ_ATTEMPTS):
        # Saving removes the parts of the model before. Who was overtaken by it looks again while nobody saves.
        with locked(folder, shared=True) if attempt else nullcontext():
            manifest = read_manifest(folder)
            try:
                arrays = {group: _read_part(folder, entry) for group, entry in manifest["files"].items()}
            except FileNotFoundError as error:
                missing = Path(error.filename)
                continue
        return Artifact(manifest["facts"], arrays)
    raise ArtifactError(f"{printable(str(folder))}: {missing.name} is missing. Restore it or save again.")


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The checked manifest alone: what ``forecast describe`` prints. Raises ``ArtifactError`` like :func:`read`."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{printable(str(folder))} holds no saved model: {MANIFEST} is missing.")
    if path.stat().st_size > LARGEST_MANIFEST:
        raise ArtifactError(f"{printable(str(path))} is larger than any manifest we write; it is not loaded.")
    data = _bytes(path)
    try:
        manifest = json.loads(data.decode("utf-8"), parse_constant=_no_constant, parse_float=_as_written)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{printable(str(path))} is damaged: it is not JSON. Restore it or save again.") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise ArtifactError(f"{printable(str(path))} is not a model of ours: it names no format.")
    if manifest["format"] != FORMAT:
        raise ArtifactError(
            f"{printable(str(path))} has format {manifest['format']}, this version reads {FORMAT}. "
            "Load it with the version that saved it, or fit and save again."
        )
    stated = manifest.pop("checksum", None)
    if stated != _checksum(manifest):
        raise ArtifactError(f"{printable(str(path))} is damaged: its checksum does not match. Restore or save again.")
    if not isinstance(manifest.get("files"), dict) or not isinstance(manifest.get("facts"), dict):
        raise ArtifactError(f"{printable(str(path))} is not a model of ours: parts are missing.")
    return manifest


def _read_part(folder: Path, entry: Any) -> dict[str, Array]:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not PART_NAME.match(name):
        raise ArtifactError(f"The manifest names a file {printable(name)} that is not one of ours; it is not opened.")
    path = folder / name
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ArtifactError(f"{printable(str(path))} is not a plain file. Restore it or save again.")
    damaged = f"{printable(str(path))} is damaged: size or checksum differ from the manifest. Restore or save again."
    if path.stat().st_size != entry.get("bytes"):
        raise ArtifactError(damaged)
    data = _bytes(path)  # read once: what is checked is what is loaded
    if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
        raise ArtifactError(damaged)
    try:
        arrays: dict[str, Array] = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:  # KeyError: a type numpy lacks
        raise ArtifactError(f"{printable(str(path))} is not a safetensors file: {printable(str(error))}.") from error
    return arrays


def _bytes(path: Path) -> bytes:
    """What the file holds. A disk that fails is an ``ArtifactError``, a file that is not there is not."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ArtifactError(
            f"{printable(str(path), 300)} cannot be read ({error.strerror}). Check the disk and your rights there, or "
            "restore the model from a copy."
        ) from error


def _as_written(digits: str) -> float:
    """The number, spelled as we spell it: a changed last digit may leave its value alone, and the checksum."""
    number = float(digits)
    if repr(number) != digits:
        raise ValueError(f"{digits} is not how this number is written")
    return number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(manifest: Mapping[str, Any]) -> str:
    canonical = json.dumps(
        {key: value for key, value in manifest.items() if key != "checksum"}, sort_keys=True, ensure_ascii=True
    )
    return hashlib.sha256(canonical.encode()).hexdigest()
