"""What stands beside fitted parents in a benchmark's folder: starts and what VASP took."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from benchmarks.fitting.frames import by_source, start_of
from finetuna_flows.geometry import fmax, free_components

CG = "VASP_CG"
METHODS = ("ASE_BFGS", "ASE_GPMin", "GemNet_Warm_Start", "K_steps")
"""Names that the benchmark expects besides `CG`; null where there is no such relaxation."""


def reference_row(
    sid: str, frames: Sequence[Atoms], cg_method: str
) -> dict[str, dict[str, float] | None] | None:
    """Calls, end and fmax of each relaxation of a system, the one by `cg_method` as ``VASP_CG``.

    Every frame counts as a call. None where there is no relaxation by `cg_method`.
    """
    runs = by_source(frames)
    if cg_method not in runs:
        return None
    free = free_components(start_of(sid, frames))
    cg = runs[cg_method]
    cg_energy = cg[-1].get_potential_energy()
    row: dict[str, dict[str, float] | None] = {CG: None, **dict.fromkeys(METHODS)}
    for name, run in runs.items():
        energy = run[-1].get_potential_energy()
        row[CG if name == cg_method else name] = {
            "dft_calls": len(run),
            "e_final": round(energy, 6),
            "fmax_final": round(fmax(run[-1].get_forces(apply_constraint=False), free), 5),
            "e_minus_cg": round(energy - cg_energy, 6),
            "pct_of_cg": round(100 * len(run) / len(cg), 2),
        }
    return row
