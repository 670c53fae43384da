"""Comparisons of the twenty systems that the authors of FINETUNA published, without importing.

Only the last frame of each run is parsed: its end is real, its number of calls is counted, and
steps in between are not kept.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms

from finetuna_flows.geometry import fmax, free_components
from finetuna_flows.reasons import QueryReason, StopReason
from finetuna_flows.records import Decision, Label, Relaxation, Step
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.compare import compare
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc
from finetuna_flows.structures.connectivity import integrity

DATA = Path(__file__).parents[3] / "shared" / "data" / "finetuna"
THRESHOLD = 0.03
"""eV/Å, of OC20."""


def reference_table() -> dict[str, dict[str, dict[str, float] | None]]:
    """Calls, energies and forces by system and method, as they were recounted."""
    content: dict[str, Any] = json.loads((DATA / "reference_table.json").read_text())
    return content


def published_comparisons() -> list[ComparisonDoc]:
    """All twenty, against VASP CG."""
    starts = {one.info["sid"]: one for one in ase.io.iread(DATA / "initial_structures.extxyz", ":")}
    runs: dict[str, dict[str, RelaxationDoc | None]] = defaultdict(dict)
    for (sid, method), (end, calls) in _ends().items():
        runs[sid][method] = _document(starts[sid], end, method, calls)
    return [compare(methods, "VASP_CG") for methods in runs.values()]


def _document(start: Atoms, end: Atoms, method: str, calls: int) -> RelaxationDoc:
    forces = end.get_forces(apply_constraint=False)
    label = Label(energy=end.get_potential_energy(), forces=forces)
    step = Step(0, end.positions, Decision((QueryReason.PARENT_DRIVEN,)), label=label)
    converged = fmax(forces, free_components(start)) <= THRESHOLD
    given = start.copy()
    given.info["system"] = start.info["sid"]
    relaxation = Relaxation(
        method=method,
        level="RPBE",
        start=given,
        steps=(step,),
        stop_reason=StopReason.CONVERGED if converged else StopReason.OPTIMIZER_GAVE_UP,
        fmax_threshold=THRESHOLD,
        integrity=integrity(start, end),
    )
    doc = build_relaxation_doc(relaxation, name=method, spec={})
    return doc.model_copy(update={"parent_calls": calls})


def _ends() -> dict[tuple[str, str], tuple[Atoms, int]]:
    """The last frame of each run, and how many frames it has."""
    lines = gzip.decompress((DATA / "frames.extxyz.gz").read_bytes()).decode().splitlines()
    last: dict[tuple[str, ...], str] = {}
    count: Counter[tuple[str, ...]] = Counter()
    row = 0
    while row < len(lines):
        after = row + 2 + int(lines[row])
        key = tuple(re.findall(r" (?:sid|method)=(\w+)", lines[row + 1]))
        last[key] = "\n".join(lines[row:after])
        count[key] += 1
        row = after
    ends = {}
    for (sid, method), block in last.items():
        (atoms,) = ase.io.iread(io.StringIO(block), format="extxyz")
        ends[sid, method] = (atoms, count[sid, method])
    return ends
