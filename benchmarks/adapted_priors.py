"""A surrogate adapted to other published systems: force errors, and parent calls on those left out.

    python benchmarks/adapted_priors.py --data DIR --folds 4 --out FILE [--surrogate WORDS]
        [--relax PRESET …]

DIR holds `frames.extxyz.gz` (labelled frames with `sid`, `method` and `call`),
`initial_structures.extxyz`, `fitted_parent.py`, `parents/` and `reference_table.json`. Each fold
leaves out a part of the systems that have a fitted parent and learns from all others, those
without a fitted parent too. Ten VASP frames a system: spread along its CG relaxation, first and
last included.

Writes FILE (JSON), the same as a table beside it (`.md`), and beside it the folders of models
(`fold0` …) with `folds.json`, which names for each system the model that has not seen it. What is
there already is not done again.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from jobflow import JobStore
from maggma.stores import MemoryStore

from finetuna_flows.calculators import load_calculator
from finetuna_flows.cli.parse import parse_surrogate
from finetuna_flows.finetuning.dataset import read_frames, spread
from finetuna_flows.finetuning.recipe import AdaptRecipe
from finetuna_flows.flows.finetune import FineTuneMaker, finetune_and_save
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.flows.presets import preset
from finetuna_flows.geometry import free_components
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import Spec, Surrogate
from finetuna_flows.records import Frame
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.portable import to_ase
from finetuna_flows.surrogates.library import MODEL
from finetuna_flows.surrogates.specs import SavedSpec

FRAMES = 10
REGIONS = {"start": (0.0, 0.0), "quarter": (0.2, 0.3), "end": (0.9, 1.0)}
"""Parts of a CG relaxation, of which up to five frames each measure the force error."""
ENERGY_TOLERANCE = 0.02
"""eV above VASP CG's end; the paper's rule of success."""

Results = dict[str, dict[str, Any]]


def cg_frames(data: Path) -> dict[str, list[Frame]]:
    """VASP's CG relaxation of each system."""
    file = data / "frames.extxyz.gz"
    systems: dict[str, list[Frame]] = {}
    for frame in read_frames(file):
        if frame.atoms.info["method"] == "VASP_CG":
            sid = str(frame.atoms.info["sid"]).removeprefix("random")
            free_energy = float(frame.atoms.info["free_energy_vasp"])
            label = replace(frame.label, free_energy=free_energy)
            systems.setdefault(sid, []).append(Frame(frame.atoms, label))
    return systems


def split(sids: Sequence[str], folds: int) -> list[list[str]]:
    """Draw the systems that each fold leaves out."""
    order = np.random.default_rng(0).permutation(len(sids))
    return [sorted(sids[index] for index in order[fold::folds]) for fold in range(folds)]


def errors(surrogate: Surrogate, frames: Sequence[Frame]) -> dict[str, float]:
    """Force error by region, eV/Å: root mean square over free components and frames."""
    found = {}
    for region, (first, last) in REGIONS.items():
        n = len(frames) - 1
        squares = [
            (surrogate.predict(frame.atoms).forces - frame.label.forces)[
                free_components(frame.atoms)
            ]
            for frame in spread(frames[round(first * n) : round(last * n) + 1], 5)
        ]
        found[region] = float(np.sqrt(np.mean(np.concatenate(squares) ** 2)))
    return found


def adapt(
    folder: Path, prior: Spec[Surrogate], frames: Sequence[Frame], recipe: AdaptRecipe
) -> SavedSpec:
    """Train the model of a fold, or take it from an earlier run."""
    saved = SavedSpec(f"{folder}/")
    if not (saved.folder / MODEL).exists():
        maker = FineTuneMaker(save_as=saved.name, surrogate=prior, recipe=recipe)
        finetune_and_save(maker, frames, folder.with_name(f"{folder.name}.training"))
    return saved


def relaxation(
    data: Path, sid: str, atoms: Atoms, name: str, prior: Spec[Surrogate], folder: Path
) -> dict[str, Any]:
    """Relax on the fitted parent with a preset whose prior is replaced."""
    target = f"{data.resolve() / 'fitted_parent.py'}:FittedParentCalculator"
    maker = preset(name)
    maker.surrogate, maker.parent = prior, AseParentSpec(target, {"sid_or_path": sid})
    maker.limits = Limits(max_steps=3000, max_parent_calls=200)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    ((_, response),) = run_in_folders(maker.make(atoms), store, folder)
    if isinstance(response, Exception):
        return {"error": str(response)}
    doc: RelaxationDoc = response.output
    logging.info("%s %s: %d parent calls", sid, name, doc.parent_calls)
    end = to_ase(doc.structure)
    end.calc = load_calculator(target, {"sid_or_path": sid})
    end.get_potential_energy()
    return {
        "calls": doc.parent_calls,
        "converged": doc.converged,
        "energy": doc.energy,
        "off_domain": bool(end.calc.results["off_domain"]),
        "seconds": doc.timings.total,
    }


def run(asked: argparse.Namespace) -> Iterator[Results]:
    """Yield all results so far, whenever there is a new one."""
    data: Path = asked.data
    models: Path = asked.out.with_suffix("")
    frames = cg_frames(data)
    table = json.loads((data / "reference_table.json").read_text())
    starts = ase.io.read(data / "initial_structures.extxyz", ":")
    start_of = {str(each.info["sid"]).removeprefix("random"): each for each in starts}
    held = sorted(sid for sid in frames if (data / "parents" / f"{sid}.npz").exists())
    results: Results = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    shipped = asked.prior.build()
    blind: dict[str, str] = {}
    for fold, left_out in enumerate(split(held, asked.folds)):
        others = [sid for sid in frames if sid not in left_out]
        training = [frame for sid in others for frame in spread(frames[sid], FRAMES)]
        saved = adapt(models / f"fold{fold}", asked.prior, training, asked.recipe)
        blind |= dict.fromkeys(left_out, str(saved.folder))
        (models / "folds.json").write_text(json.dumps(blind, indent=1))
        adapted = saved.build()
        for sid in left_out:
            row = results.setdefault(sid, {"fold": fold, "cg": table[sid]["VASP_CG"]})
            if "adapted" not in row:
                row["shipped"] = errors(shipped, frames[sid])
                row["adapted"] = errors(adapted, frames[sid])
                yield results
    for name in asked.relax:
        for sid in held:
            priors: dict[str, Spec[Surrogate]]
            priors = {"shipped": asked.prior, "adapted": SavedSpec(blind[sid])}
            for which, prior in priors.items():
                runs = results[sid].setdefault("relaxations", {})
                if f"{name}, {which}" not in runs:
                    folder = models / "runs" / name / which / sid
                    runs[f"{name}, {which}"] = relaxation(
                        data, sid, start_of[sid], name, prior, folder
                    )
                    yield results
    yield results


def success(row: dict[str, Any], run: dict[str, Any]) -> bool:
    """The paper's rule, and the fitted parent means something at the end."""
    return bool(
        run.get("converged")
        and run["energy"] <= row["cg"]["e_final"] + ENERGY_TOLERANCE
        and not run["off_domain"]
    )


def tables(results: Results) -> str:
    """Force errors by system, then parent calls."""
    names = [f"{which}, {region}" for region in REGIONS for which in ("shipped", "adapted")]
    lines = ["| system | fold | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    columns: list[list[float]] = [[] for _ in names]
    for sid, row in results.items():
        values = [row[which][region] for region in REGIONS for which in ("shipped", "adapted")]
        for column, value in zip(columns, values, strict=True):
            column.append(value)
        shown = " | ".join(f"{value:.3f}" for value in values)
        lines.append(f"| {sid} | {row['fold']} | {shown} |")
    means = " | ".join(f"{geometric_mean(column):.3f}" for column in columns)
    lines += [f"| geometric mean | | {means} |", ""]
    lines += ["| preset, prior | systems | calls | % of CG | success |", "|---" * 5 + "|"]
    for name in sorted({each for row in results.values() for each in row.get("relaxations", {})}):
        preset_name = name.partition(", ")[0]
        done = [
            (row, row["relaxations"][name])
            for row in results.values()
            if all(  # both priors, so that their means are of the same systems
                "calls" in row.get("relaxations", {}).get(f"{preset_name}, {which}", {})
                for which in ("shipped", "adapted")
            )
        ]
        if done:
            calls = fmean(each["calls"] for _, each in done)
            share = fmean(each["calls"] / row["cg"]["dft_calls"] for row, each in done)
            good = fmean(success(*each) for each in done)
            lines.append(f"| {name} | {len(done)} | {calls:.1f} | {share:.1%} | {good:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the results after every system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--surrogate", default="chgnet", help="in the words of the command line")
    parser.add_argument("--surrogate-args", help="as JSON")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=AdaptRecipe().epochs)
    parser.add_argument("--relax", nargs="*", default=[], metavar="PRESET")
    asked = parser.parse_args()
    asked.prior = parse_surrogate(asked.surrogate, asked.surrogate_args)
    asked.recipe = AdaptRecipe(epochs=asked.epochs, patience=asked.epochs)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asked.out.with_suffix("").mkdir(parents=True, exist_ok=True)
    for results in run(asked):
        part = asked.out.with_suffix(".part")
        part.write_text(json.dumps(results, indent=1))
        part.replace(asked.out)
        asked.out.with_suffix(".md").write_text(tables(results))


if __name__ == "__main__":
    main()
