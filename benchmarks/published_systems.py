"""Parent calls, success and seconds of relaxation methods on published adsorbate/slab systems.

    python benchmarks/published_systems.py --data DIR --methods fast,BFGS --out FILE [SID …]

DIR holds `initial_structures.extxyz` (frames named by `info["sid"]`), `fitted_parent.py` with
`FittedParentCalculator(PATH)`, the fitted parents `parents/SID.npz`, and `reference_table.json`
with what released VASP relaxations took; `benchmarks/fit_parents.py` makes such a folder from
labelled relaxations.

Writes `FILE.md` and `FILE.json` after every relaxation, and keeps each result in the folder
`FILE.runs`, from where the same command goes on. A result belongs to the method's spec, the start
and the parent's file: what differs in one of them is run again. The package's source is not among
them: the header names every state of it that took part, and `--again` runs everything anew.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.published.methods import parse_methods
from benchmarks.published.report import describe_run, line, write_report
from benchmarks.published.runs import Outcome, Shelf, Task, outcome, run_task
from benchmarks.published.systems import read_systems
from benchmarks.published.workers import Died, in_processes
from finetuna_flows.relaxation.limits import Limits

METHODS = "fast,warm-start,GPMin,BFGS"


def main(words: Sequence[str] | None = None) -> None:
    """Run what is missing, and write the tables."""
    asked = _parser().parse_args(words)
    limits = Limits(asked.max_steps, asked.max_calls, asked.max_seconds)
    try:
        methods = parse_methods(asked.methods, asked.variant)
        systems = read_systems(asked.data, asked.sids, asked.parents)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    largest_first = sorted(systems, key=lambda system: system.size, reverse=True)
    tasks = [Task(system, method, limits) for system in largest_first for method in methods]
    shelf = Shelf(asked.out.with_name(asked.out.name + ".runs"))
    found = [None if asked.again else shelf.get(task) for task in tasks]
    missing = [task for task, kept in zip(tasks, found, strict=True) if kept is None]
    done = [kept for kept in found if kept is not None]
    header = describe_run(asked.data, asked.parents, asked.processes)
    names = [method.name for method in methods]
    write_report(asked.out, header, systems, names, done)
    print(f"{len(done)} of {len(tasks)} relaxations are there already", flush=True)
    with closing(in_processes(run_task, missing, asked.processes)) as answers:
        for task, answer in answers:
            done.append(_kept(shelf, task, answer))
            write_report(asked.out, header, systems, names, done)
            print(f"{len(done)}/{len(tasks)} {line(done[-1])}", flush=True)
    report = asked.out.with_name(asked.out.name + ".md").read_text()
    print("\n" + report.partition("## By system")[0])


def _kept(shelf: Shelf, task: Task, answer: Outcome | Died) -> Outcome:
    """Put an answer on the shelf, but not the death of a process, which may not come again."""
    if isinstance(answer, Died):
        return outcome(task, None, f"the process ended with exit code {answer.exit_code}")
    shelf.put(answer)
    return answer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of systems and parents")
    parser.add_argument("--parents", default="parents", help="folder in it with the parents")
    parser.add_argument("--methods", default=METHODS, help="names with commas between them")
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=FILE.py:FUNCTION",
        help="one more method: the function returns its Maker; may be given again",
    )
    parser.add_argument("--out", type=Path, required=True, help="without its ending")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--max-calls", type=int, default=400, help="parent calls a relaxation")
    parser.add_argument("--max-steps", type=int, default=4000, help="geometries a relaxation")
    parser.add_argument("--max-seconds", type=float, help="a relaxation; default: no limit")
    parser.add_argument("--again", action="store_true", help="run what is there already, too")
    parser.add_argument("sids", nargs="*", metavar="SID", help="default: all with a parent")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # ends the processes too
    main()
