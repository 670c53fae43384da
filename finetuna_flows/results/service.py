"""What is kept of a parent that served a learner in another job."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from finetuna_flows.results.document_parts import Document, UtcTime
from finetuna_flows.results.documents import SCHEMA_VERSION, Spec, plain


class ServiceDoc(Document):
    """One parent's service, which its learner's ledger must agree with."""

    schema_version: int = SCHEMA_VERSION
    """Of this document; raised when a field changes its meaning."""
    uuid: str
    """Of this document."""
    name: str
    """What the user calls the job."""
    tags: tuple[str, ...] = ()
    """The user's words to find it again."""
    twins: str
    """Key of the pair, which is in the spec of the learner's document too."""
    level_of_theory: str
    """In words."""
    spec: Annotated[Spec, BeforeValidator(plain)]
    """Everything the user chose, as plain JSON."""
    parent_calls: int
    """Labels that were sent."""
    recalled_calls: int
    """Labels among them that were computed before, in this try or an earlier one in the folder."""
    scf_cycles: int | None
    """Electronic iterations over all labels; None if one of them does not say."""
    label_time: float
    """Seconds that the engine took for the labels that were computed."""
    waiting_time: float
    """Seconds between labels, paused or not."""
    paused_time: float
    """Seconds that the engine's processors were left to others."""
    dir_name: str | None = None
    """Folder of the job, with its host."""
    completed_at: UtcTime
    """When the service ended (UTC)."""
