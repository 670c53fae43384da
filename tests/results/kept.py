"""A store of a few relaxations that differ in everything by which they are found."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobflow.core.store import JobStore
from monty.json import jsanitize

from finetuna_flows.reasons import Integrity, StopReason
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.documents import DATA_KEYS, RelaxationDoc
from finetuna_flows.results.store import local_job_store
from tests.results.made import SPEC, asking_seldom, by_bfgs, never_answered, slab, water


def day(number: int) -> datetime:
    """Noon of a day in November."""
    return datetime(2026, 11, number, 12, tzinfo=UTC)


def made() -> list[RelaxationDoc]:
    """Two of one slab, by two methods; a molecule; one that the parent never answered."""
    changes: list[tuple[Any, str, dict[str, Any]]] = [
        (asking_seldom(slab()), "fast", {"system": "random1", "tags": ("paper", "day 1")}),
        (by_bfgs(slab()), "ASE BFGS", {"system": "random1", "parent_mode": "cold"}),
        (
            by_bfgs(water()),
            "water",
            {
                "adsorbate": "CH3O",
                "integrity": Integrity.DESORBED,
                "fmax": 0.2,
                "converged": False,
                "stop_reason": StopReason.MAX_STEPS,
                "tags": ("paper",),
                "system": "17",
            },
        ),
        (never_answered(slab()), "nothing", {}),
    ]
    return [
        build_relaxation_doc(relaxation, name=name, spec=SPEC).model_copy(
            update={"completed_at": day(index), "last_updated": day(index), **change}
        )
        for index, (relaxation, name, change) in enumerate(changes, start=1)
    ]


def keep(store: JobStore, docs: list[RelaxationDoc]) -> None:
    """Write documents as their jobs would."""
    store.update(
        [
            {
                "uuid": f"job-{index}",
                "index": 1,
                "output": jsanitize(doc, strict=True, enum_values=True, allow_bson=True),
            }
            for index, doc in enumerate(docs)
        ],
        save={"data": list(DATA_KEYS)},
    )


def filled_store(folder: Path) -> JobStore:
    """A local store, connected, with all of `made`."""
    store = local_job_store(folder)
    store.connect()
    keep(store, made())
    return store
