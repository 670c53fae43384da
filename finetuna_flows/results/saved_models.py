"""The surrogates that were saved by name, as a list shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from finetuna_flows.errors import SurrogateError
from finetuna_flows.results.adaptation import FineTuneDoc
from finetuna_flows.results.document_parts import Document, UtcTime
from finetuna_flows.surrogates.library import read_model, saved_names


class SavedModel(Document):
    """One line of the list; all but name and folder is None where the folder does not tell."""

    name: str
    """As ``saved:NAME`` takes it."""
    folder: str
    """Where it is."""
    base: str | None = None
    """What was adapted: the spec's class and, where it has one, its model."""
    completed_at: UtcTime | None = None
    """When it was saved (UTC)."""
    systems: tuple[str, ...] | None = None
    """What it learned from or was validated by."""
    n_frames: int | None = None
    """Labels in all."""
    error_before: float | None = None
    """Force error of the held-out systems before, eV/Å: mean over their frames."""
    error_after: float | None = None
    """The same with the weights that were kept."""
    complaint: str | None = None
    """Why it cannot be used; None where nothing speaks against it."""


def saved_models(models: Path) -> Iterator[SavedModel]:
    """List the surrogates saved in the folder `models` by name; weights are not read."""
    for name in saved_names(models):
        folder = models / name
        try:
            model = read_model(folder)
        except SurrogateError as error:
            yield SavedModel(name=name, folder=str(folder), complaint=str(error))
            continue
        doc = _document(model["provenance"], folder)
        yield SavedModel(
            name=name,
            folder=str(folder),
            base=_words(model["base"]),
            completed_at=doc.completed_at if doc else None,
            systems=tuple(each.name for each in doc.systems) if doc else None,
            n_frames=doc.n_frames if doc else None,
            error_before=doc.error_before if doc else None,
            error_after=doc.error_after if doc else None,
        )


def _document(provenance: object, folder: Path) -> FineTuneDoc | None:
    """The adaptation's document; None where something else than a FineTuneMaker saved it."""
    if not isinstance(provenance, Mapping):
        return None
    try:
        return FineTuneDoc.model_validate({**provenance, "folder": str(folder)})
    except ValidationError:
        return None


def _words(base: object) -> str:
    spec = base if isinstance(base, Mapping) else {}
    return " ".join(str(spec[key]) for key in ("@class", "model") if key in spec)
