"""Documents that exist already, put into a store so that doing it twice changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from jobflow import JobStore, job
from jobflow.core.schemas import JobStoreDocument
from maggma.core import Store
from monty.json import jsanitize

from finetuna_flows.relaxation.identity import differences
from finetuna_flows.relaxation.recorded.recording import Recording
from finetuna_flows.results.completeness import missing_parts
from finetuna_flows.results.documents import DATA_KEYS, RelaxationDoc

IMPORTS = uuid5(NAMESPACE_OID, "finetuna_flows.import")
"""Namespace of the uuids of imports."""
METADATA = "import"
"""Key of the job's metadata."""
SAYS_ALL = frozenset({
    "name", "system", "adsorbate", "tags", "method", "level_of_theory", "fmax_threshold",
    "stop_reason", "integrity", "trajectory", "ledger",
})  # fmt: skip
"""Fields in which imports of one relaxation differ if anything but the time does."""


@dataclass(frozen=True)
class Kept:
    """A document in the store."""

    document: RelaxationDoc
    """Without trajectory and ledger."""
    word: str
    """How it came there: ``imported``, ``already there``, ``replaced``, ``completed`` (the document
    was there, but not all of its trajectory and ledger, as an interrupted import leaves it)."""


@job(data=list(DATA_KEYS), output_schema=RelaxationDoc)
def keep(document: RelaxationDoc) -> RelaxationDoc:
    """Put a document that exists already into the store of the flow, as a relaxation leaves it."""
    return document


def keep_once(
    document: RelaxationDoc,
    recording: Recording,
    path: Path,
    store: JobStore,
    *,
    again: bool = False,
) -> Kept:
    """Put an imported relaxation into the store, unless it is there.

    It is the same one if it has the same path, the same labels in its files, the same name and the
    same first geometry; of these its uuids are made. One whose trajectory or ledger is missing is
    written again.

    Parameters
    ----------
    document
        With trajectory and ledger.
    recording
        What it was made from.
    path
        Where that was read.
    store
        Connected.
    again
        Whether to replace the one that is there.

    Raises
    ------
    ValueError
        If there is one that says something else, and `again` does not say to replace it.
    """
    uuid = import_uuid(path, recording, document.name)
    fingerprint = fingerprint_of(document)
    document = document.model_copy(update={"uuid": str(uuid5(UUID(uuid), "document"))})
    data: Store = getattr(store, "additional_stores", {})["data"]
    known = store.query_one({"uuid": uuid}, properties=["metadata", "output"], load=False)
    word = "imported" if known is None else "replaced"
    if known is not None and not again:
        whole = not missing_parts(known["output"], data)
        same = known["metadata"].get(METADATA, {}).get("fingerprint") == fingerprint
        if not same and not (whole and _differs_by_rounding(document, uuid, store)):
            raise ValueError(
                f"{recording.system} {document.name} was imported from there before, and its file "
                f"or the options have changed since; --again replaces it ({document.uuid[:8]})"
            )
        if whole:
            return Kept(_light(known["output"]), "already there")
        word = "completed"
    notes = {METADATA: {"fingerprint": fingerprint, "damaged": [*recording.damaged]}}
    store.update(_entry(uuid, document, notes), key=["uuid", "index"], save={"data": [*DATA_KEYS]})
    _remove_unused(uuid, store, data)
    return Kept(document.model_copy(update=dict.fromkeys(DATA_KEYS)), word)


def import_uuid(path: Path, recording: Recording, name: str) -> str:
    """The uuid of the job that puts an import into the store."""
    parts = (str(path.resolve()), *recording.group, name, recording.first_key)
    return str(uuid5(IMPORTS, "\n".join(parts)))


def fingerprint_of(document: RelaxationDoc) -> str:
    """Digest of what a document says of the relaxation, whenever and wherever it was made."""
    return sha256(document.model_dump_json(include=set(SAYS_ALL)).encode()).hexdigest()


def _differs_by_rounding(document: RelaxationDoc, uuid: str, store: JobStore) -> bool:
    """Whether the stored document, which is whole, says the same as rounded on another machine."""
    (known,) = store.query({"uuid": uuid}, properties=["output"], load=True)
    fields = {key: value for key, value in known["output"].items() if not key.startswith("@")}
    whole = RelaxationDoc.model_validate(fields)
    then, now = (each.model_dump(mode="json", include=set(SAYS_ALL)) for each in (whole, document))
    return not differences(then, now)


def _light(output: Mapping[str, Any]) -> RelaxationDoc:
    """A stored document without trajectory and ledger."""
    fields = {name: value for name, value in output.items() if not name.startswith("@")}
    return RelaxationDoc.model_validate({**fields, **dict.fromkeys(DATA_KEYS)})


def _blobs(output: Mapping[str, Any]) -> list[str]:
    """What a stored document refers to in the store `data`."""
    parts = [output.get(key) for key in DATA_KEYS]
    return [part["blob_uuid"] for part in parts if isinstance(part, dict) and "blob_uuid" in part]


def _remove_unused(uuid: str, store: JobStore, data: Store) -> None:
    """Remove what only replaced documents of this job referred to, by whichever process.

    A document is written before its parts: parts that are listed before the documents are looked at
    belong to one of these or to one that was replaced, never to one that is to come.
    """
    listed = [each["blob_uuid"] for each in data.query({"job_uuid": uuid}, ["blob_uuid"])]
    wanted = [f"output.{key}" for key in DATA_KEYS]
    found = store.query({"uuid": uuid}, properties=wanted, load=False)
    used = {blob for each in found for blob in _blobs(each["output"])}
    unused = [blob for blob in listed if blob not in used]
    if unused:
        data.remove_docs({"blob_uuid": {"$in": unused}})


def _entry(uuid: str, document: RelaxationDoc, metadata: Mapping[str, object]) -> JobStoreDocument:
    """What a job that returned the document would leave; a job itself copies it five times."""
    output = jsanitize(document, strict=True, enum_values=True, allow_bson=True)
    now = datetime.now().isoformat()  # local, as jobflow has it
    return JobStoreDocument(
        uuid=uuid,
        index=1,
        output=output,
        completed_at=now,
        metadata=dict(metadata),
        hosts=[],
        name=METADATA,
    )
