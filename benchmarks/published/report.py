"""The benchmark's tables, in Markdown and in JSON."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.published.judgement import Measured
from benchmarks.published.runs import Outcome
from benchmarks.published.statistics import (
    PHASES,
    Choice,
    Mean,
    Pairing,
    Summary,
    choose_by_others,
    pair,
    summarize,
    summarize_published,
)
from benchmarks.published.systems import PublishedSystem
from finetuna_flows.results.build import packages
from finetuna_flows.settings import Settings

CAVEAT = (
    "A fitted parent is a smooth potential that stands in for VASP: it favours learners that are "
    "smooth too, Gaussian processes above all, so check conclusions on parents of another kernel. "
    "Published rows are real VASP runs, which no fitted parent took part in. "
    "Success: parent fmax at most 0.03 eV/Å over the free atoms and an end at most 0.02 eV above "
    "VASP CG's. Validated: success, the end within the parent's domain, and an end lower than "
    "VASP CG's by more than 0.02 eV only within 0.03 eV of the lowest energy that VASP itself "
    "found. Approach, settling, polishing: calls until the energy stays within 0.1 eV of the "
    "run's end, then until within 0.02 eV, then the rest. Mean ± standard error."
)


def describe_run(data: Path, parents: str, processes: int) -> dict[str, str]:
    """Machine, versions, date and command line."""
    versions = ", ".join(f"{name} {number}" for name, number in packages().items())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": shlex.join(["python", *sys.argv]),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "surrogates on": Settings().device,
        "processes": f"{processes}, one thread each",
        "data": f"{data}, {parents}",
        "versions": versions,
    }


def write_report(
    out: Path,
    header: dict[str, str],
    systems: Sequence[PublishedSystem],
    methods: Sequence[str],
    outcomes: Sequence[Outcome],
) -> None:
    """Write ``out.json`` and ``out.md``, each whole or not at all."""
    of = {name: [each for each in outcomes if each.method == name] for name in methods}
    codes = sorted({each.code for each in outcomes})
    header = {**header, "package's source": ", ".join(codes) or "-"}
    summaries = [summarize(name, of[name]) for name in methods]
    published = dict.fromkeys(name for each in systems for name in each.runs)
    reference = [summarize_published(name, systems) for name in published]
    pairings = [pair(name, of[name], systems) for name in methods]
    choice = choose_by_others(of)
    document = {
        "header": header,
        "note": CAVEAT,
        "summary": [asdict(each) for each in summaries],
        "published": [asdict(each) for each in reference],
        "beside_k_steps": [asdict(each) for each in pairings],
        "chosen_by_other_systems": None if choice is None else asdict(choice),
        "systems": [
            {"sid": each.sid, "atoms": len(each.atoms), "cg_energy": each.cg_energy}
            | {"published": {name: asdict(run) for name, run in each.runs.items()}}
            for each in systems
        ],
        "outcomes": [asdict(each) for each in outcomes],
    }
    parts = [
        "# Relaxations of published systems",
        "\n".join(f"- {key}: {value}" for key, value in header.items()),
        CAVEAT,
        "## Summary",
        _table(SUMMARY_HEAD, map(_summary_row, [*summaries, *reference])),
        *([] if choice is None else [_sentence(choice, len(systems))]),
        "## On the systems of the published K-steps runs alone",
        _table(PAIRING_HEAD, map(_pairing_row, pairings)),
        "## By system",
        _table(SYSTEM_HEAD, (row for each in systems for row in _rows(each, methods, of))),
    ]
    _write(out.with_name(out.name + ".json"), json.dumps(document, indent=1))
    _write(out.with_name(out.name + ".md"), "\n\n".join(parts) + "\n")


def line(outcome: Outcome) -> str:
    """Say in one line how a relaxation went."""
    head = f"{outcome.sid:>8} {outcome.method:<16}"
    one = outcome.measured
    if one is None:
        return f"{head} failed: {outcome.error}"
    verdict = "validated" if one.validated else "success" if one.success else "no success"
    spent = ", ".join(f"{phase} {one.seconds[phase]:.1f} s" for phase in PHASES)
    return f"{head} {one.calls:4d} calls ({one.percent:.1f} % of CG), {verdict}; {spent}"


SUMMARY_HEAD = (
    "method", "n", "failed", "mean calls", "% of VASP CG", "success", "validated",
    "approach", "settling", "polishing", "surrogate steps", *(f"{each}/s" for each in PHASES),
)  # fmt: skip
PAIRING_HEAD = (
    "method", "n", "% of VASP CG", "K-steps %", "difference", "fewer, equal, more calls",
    "success", "validated", "K-steps success",
)  # fmt: skip
SYSTEM_HEAD = (
    "system", "method", "calls", "% of VASP CG", "ΔE/meV", "fmax", "success", "validated",
    "approach + settling + polishing", "surrogate steps",
    *(f"{each}/s" for each in PHASES), "remarks",
)  # fmt: skip


def _sentence(choice: Choice, n: int) -> str:
    chosen = ", ".join(f"{name} {count} times" for name, count in choice.chosen.items())
    return (
        "Chosen for each system by all others, most validated ends and then fewest calls, among "
        f"{', '.join(choice.methods)}: "
        f"{_mean(choice.percent, errors=True)} % of VASP CG's calls, success "
        f"{choice.success / n:.2f}, validated {choice.validated / n:.2f} ({chosen})."
    )


def _summary_row(one: Summary) -> list[str]:
    def share(count: int | None) -> str:
        return "-" if count is None or not one.n else f"{count / one.n:.2f}"

    means = (one.approach, one.settling, one.polishing, one.surrogate_steps)
    name = one.method if one.seconds or one.validated is not None else f"*{one.method}, published*"
    return [
        name,
        str(one.n),
        str(one.failed),
        _mean(one.calls),
        _mean(one.percent, errors=True),
        share(one.success),
        share(one.validated),
        *map(_mean, means),
        *(f"{one.seconds[phase]:.1f}" if one.seconds else "-" for phase in PHASES),
    ]


def _pairing_row(one: Pairing) -> list[str]:
    n = one.percent.n if one.percent else 0
    return [
        one.method,
        str(n),
        _mean(one.percent, errors=True),
        _mean(one.k_steps_percent, errors=True),
        _mean(one.difference, errors=True),
        f"{one.fewer}, {one.equal}, {n - one.fewer - one.equal}",
        *(f"{k / n:.2f}" if n else "-" for k in (one.success, one.validated, one.k_steps_success)),
    ]


def _rows(
    system: PublishedSystem, methods: Sequence[str], of: dict[str, list[Outcome]]
) -> Iterable[list[str]]:
    for method in methods:
        for each in of[method]:
            if each.sid == system.sid:
                yield [system.sid, method, *_cells(each)]
    for name, run in system.runs.items():
        percent = 100 * run.calls / system.cg_calls
        difference = f"{1e3 * run.energy_difference:+.1f}"
        said = _yes(run.success)
        cells = [str(run.calls), f"{percent:.1f}", difference, f"{run.fmax:.3f}", said]
        yield [system.sid, f"*{name}, published*", *cells, *["-"] * (len(SYSTEM_HEAD) - 7)]


def _cells(outcome: Outcome) -> list[str]:
    one = outcome.measured
    if one is None:
        words = " ".join((outcome.error or "").replace("|", "/").split())
        return ["failed", *["-"] * (len(SYSTEM_HEAD) - 4), words[:200]]
    return [
        str(one.calls),
        f"{one.percent:.1f}",
        f"{1e3 * one.energy_difference:+.1f}",
        f"{one.fmax:.3f}",
        _yes(one.success),
        _yes(one.validated),
        f"{one.approach} + {one.settling} + {one.polishing}",
        str(one.surrogate_steps),
        *(f"{one.seconds[phase]:.1f}" for phase in PHASES),
        ", ".join(_remarks(one)) or "-",
    ]


def _remarks(one: Measured) -> Iterable[str]:
    if one.stop_reason != "converged":
        yield one.stop_reason
    if one.integrity not in ("intact", "no_adsorbate"):
        yield one.integrity
    if one.off_domain:
        yield "off domain" + ("" if one.distance is None else f" ({one.distance:.2f} Å)")


def _mean(mean: Mean | None, *, errors: bool = False) -> str:
    if mean is None:
        return "-"
    error = f" ± {mean.error:.1f}" if errors and mean.error is not None else ""
    return f"{mean.value:.1f}{error}"


def _yes(held: bool) -> str:
    return "yes" if held else "**no**"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
