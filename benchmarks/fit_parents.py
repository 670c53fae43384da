"""Fit potentials to labelled relaxations, so that methods can be compared on them without DFT.

    python benchmarks/fit_parents.py --frames FILE.extxyz[.gz] --out DIR

FILE holds labelled geometries (energy and forces, fixed atoms as `move_mask` or as tags of 0) of
one or more systems, each frame with `sid=NAME`, and where relaxations are to be told apart
`method=NAME` and `call=NUMBER`. DIR becomes a folder that `published_systems.py --data` reads:
`parents/NAME.npz`, `parents/index.json` with each fit's errors, the calculator `fitted_parent.py`,
`initial_structures.extxyz`, and, of systems with a relaxation named by `--cg-method`,
`reference_table.json`.

A parent is only put there if BFGS on it converges and stays near the labels; the others go to
`unusable`. Systems that are there already are left as they are; `--again` fits them anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ase.io
import numpy as np
from ase import Atoms

from benchmarks.fitting.fit import Fit, fit_parent
from benchmarks.fitting.frames import Labels, labels_of, read_frames, start_of
from benchmarks.fitting.gp_part import GPSettings
from benchmarks.fitting.tables import CG, reference_row
from benchmarks.published.workers import Died, in_processes

CALCULATOR = Path(__file__).resolve().parent / "fitted_parent.py"


@dataclass(frozen=True)
class FitTask:
    """One system to fit."""

    labels: Labels
    settings: GPSettings
    seed: int


def run_fit(task: FitTask) -> Fit | str:
    """Fit, or say why that failed."""
    try:
        return fit_parent(task.labels, task.settings, task.seed)
    except Exception as error:  # noqa: BLE001 - the boundary of the process
        return f"{type(error).__name__}: {error}"


def main(words: Sequence[str] | None = None) -> None:
    """Read, fit, and write system by system."""
    asked = _parser().parse_args(words)
    settings = GPSettings(
        kernel=asked.kernel,
        length=asked.length or {"rq": 1.0, "m52": 2.0}[asked.kernel],
        energy_noise=asked.energy_noise,
        force_noise=asked.force_noise,
        largest_size=asked.largest_size,
    )
    try:
        frames = read_frames(asked.frames, asked.sids)
        labels = [labels_of(sid, held) for sid, held in frames.items()]
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    _write_beside(asked.out, frames, asked.cg_method)
    kept = () if asked.again else _read_index(asked.out)
    tasks = [FitTask(each, settings, asked.seed) for each in labels if each.sid not in kept]
    with closing(in_processes(run_fit, tasks, asked.processes)) as answers:
        for task, answer in answers:
            if isinstance(answer, Died):
                said = f"{task.labels.sid}: the process ended with exit code {answer.exit_code}"
            elif isinstance(answer, str):
                said = f"{task.labels.sid}: {answer}"
            else:
                write_fit(asked.out, task.labels.sid, answer)
                said = _line(task.labels.sid, answer)
            print(said, flush=True)


def write_fit(out: Path, sid: str, fit: Fit) -> None:
    """Put a parent where it belongs, and its report into the index."""
    for folder in ("parents", "unusable"):
        (out / folder).mkdir(parents=True, exist_ok=True)
        (out / folder / f"{sid}.npz").unlink(missing_ok=True)
    folder = "parents" if fit.report["usable"] else "unusable"
    np.savez_compressed(out / folder / f"{sid}.npz", **fit.data)  # type: ignore[arg-type]  # arrays
    index = _read_index(out) | {sid: fit.report}
    (out / "parents" / "index.json").write_text(json.dumps(index, indent=1))


def _write_beside(out: Path, frames: dict[str, list[Atoms]], cg_method: str) -> None:
    """Write calculator, starts and table; what other systems have there stays."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CALCULATOR, out / CALCULATOR.name)
    place = out / "initial_structures.extxyz"
    known = ase.io.read(place, ":") if place.exists() else []
    starts = {str(each.info["sid"]): each for each in known}
    starts |= {sid: start_of(sid, held) for sid, held in frames.items()}
    ase.io.write(
        place, list(starts.values()), columns=["symbols", "positions", "tags", "move_mask"]
    )
    rows = {sid: reference_row(sid, held, cg_method) for sid, held in frames.items()}
    table = out / "reference_table.json"
    known_rows = json.loads(table.read_text()) if table.exists() else {}
    known_rows |= {sid: row for sid, row in rows.items() if row is not None}
    if known_rows:
        table.write_text(json.dumps(known_rows, indent=1))
    lacking = ", ".join(sid for sid, row in rows.items() if row is None)
    if lacking:
        print(f"no relaxation {cg_method} of {lacking}: nothing to compare calls with there")


def _read_index(out: Path) -> dict[str, dict[str, object]]:
    path = out / "parents" / "index.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _line(sid: str, fit: Fit) -> str:
    report = fit.report
    held, others = report["left_out"], report.get("force_rmse_not_train", np.nan)
    assert isinstance(held, list)
    energy = np.median([abs(each["energy_error"]) for each in held]) if held else np.nan
    force = np.median([each["force_rmse"] for each in held]) if held else np.nan
    return (
        f"{sid:>8}: {report['n_frames']} labels, {report['n_train']} centres; forces off by "
        f"{report['force_rmse_train']:.4f} eV/Å at centres, {others:.4f} at "
        f"other labels; left out by 0.1 Å (median): {energy:.4f} eV, {force:.4f} eV/Å; BFGS "
        f"{report['n_bfgs_parent']} calls to {report['e_bfgs_parent']:.4f} eV, at most "
        f"{report['max_distance_on_bfgs']:.2f} Å from a label"
        f"{'' if report['usable'] else '; NOT USABLE'}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=Path, required=True, help="extxyz, also as .gz")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument("--sids", nargs="+", default=[], help="default: all in the file")
    parser.add_argument("--kernel", choices=("rq", "m52"), default="rq")
    parser.add_argument("--length", type=float, help="Å; default: 1 for rq, 2 for m52")
    parser.add_argument("--energy-noise", type=float, default=GPSettings.energy_noise, help="eV")
    parser.add_argument("--force-noise", type=float, default=GPSettings.force_noise, help="eV/Å")
    parser.add_argument("--largest-size", type=int, default=GPSettings.largest_size)
    parser.add_argument("--cg-method", default=CG, help="the frames' method that others are % of")
    parser.add_argument("--seed", type=int, default=0, help="of the labels that are left out")
    parser.add_argument("--processes", type=int, default=1, help="1 GB of memory each")
    parser.add_argument("--again", action="store_true", help="fit what is there already, too")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # ends the processes too
    main()
