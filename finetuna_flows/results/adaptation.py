"""What is kept of an adaptation: one document, a copy of which lies beside the saved weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from finetuna_flows.results.document_parts import Document, UtcTime
from finetuna_flows.results.documents import Spec, plain


class AdaptedSystem(Document):
    """What an adaptation did to one system."""

    name: str
    """Its formula, with a number where several systems have the same."""
    n_frames: int
    """Labels of it."""
    held_out: bool
    """Whether it served to validate; else it was trained on."""
    before: float
    """Force error before, eV/Å: root mean square over free components, mean over frames."""
    after: float
    """The same with the weights that were kept."""


class FineTuneDoc(Document):
    """One adapted surrogate and how well it does; the weights are in its folder."""

    schema_version: int = 1
    """Of this document; raised when a field changes its meaning."""
    uuid: str
    """Of this document; not the one of the job that made it."""
    name: str
    """What the user calls this adaptation."""
    surrogate: str
    """Name or path of the saved surrogate, as `SavedSpec` takes it."""
    folder: str
    """Where it is, with its host."""
    spec: Annotated[Spec, BeforeValidator(plain)]
    """Everything the user chose, as plain JSON; the Maker is rebuilt from it."""
    n_frames: int
    """Labels in all."""
    systems: tuple[AdaptedSystem, ...]
    """One for each system."""
    error_before: float
    """Force error of the held-out systems before, eV/Å: mean over their frames."""
    error_after: float
    """The same with the weights that were kept."""
    epochs: int
    """Passes over the training frames."""
    best_epoch: int
    """The one whose weights were kept, from 1."""
    wall_time: float
    """Seconds since the training began or was resumed."""
    packages: dict[str, str]
    """Version of each package that can change a number."""
    completed_at: UtcTime
    """When it was saved (UTC)."""
