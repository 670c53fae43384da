"""Damaged files: what can be read of them is kept, and what cannot is refused in words."""

from __future__ import annotations

import gzip
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from finetuna_flows.errors import FinetunaError
from finetuna_flows.relaxation.recorded.read import recordings
from finetuna_flows.relaxation.vasp.attempt import FinishedStep
from finetuna_flows.relaxation.vasp.join import join_runs
from finetuna_flows.relaxation.vasp.read import read_vasp_runs
from tests.relaxation.recorded_files import relaxed_by_ase, write_frames
from tests.relaxation.vasp_runs import relax
from tests.systems import oxygen_on_copper

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(600)]

CAPTURES = Path(__file__).parents[3] / "shared" / "data" / "vasp_captures"
BLOCK = 4096
"""Bytes; OUTCAR of a build that does not flush ends at such blocks, vasprun.xml at two of them."""
MOST_CUTS, BYTES = 40, 40
"""Prefixes of a file, evenly over its blocks where there are more; damaged bytes in it."""
LARGEST = 1_500_000
"""Bytes of a file that is read as often as that."""
STEP = {
    "OUTCAR": re.compile(rb"LOOP\+:.*\n"),
    "vasprun.xml": re.compile(rb"</calculation>"),
}
"""Where an ionic step ends."""


def outcome(error: Exception, name: str) -> str:
    """A refusal, which must be in words that name the file."""
    words = str(error)
    assert name in words or "system" in words, words
    assert not re.search(rf"{re.escape(name)}(; so nothing is left of it)?$", words), words
    return "refused"


class Damaged:
    """One file, damaged in one way after another."""

    def __init__(self, whole: bytes, kind: str, folder: Path) -> None:
        self._whole = whole
        self._kind = kind
        self._path = folder / kind
        self._path.write_bytes(whole)
        self._steps = read_vasp_runs(self._path)[0].numbered
        self._ends = [match.end() for match in STEP[kind].finditer(whole)]
        self.counts: Counter[str] = Counter()

    def cuts(self) -> Iterator[int]:
        """Where blocks end."""
        size = BLOCK if self._kind == "OUTCAR" else 2 * BLOCK
        blocks = range(size, len(self._whole), size)
        return iter(blocks[:: max(1, len(blocks) // MOST_CUTS)])

    def cut(self, end: int) -> None:
        """Every step that ends before must be there."""
        first = sum(each <= end for each in self._ends)
        self._try(self._whole[:end], {n for n in self._steps if n <= first})

    def spoil(self, place: int, byte: int) -> None:
        """Every step must be there but the one in which the byte is."""
        changed = bytearray(self._whole)
        changed[place] = byte
        own = 1 + sum(each <= place for each in self._ends)
        self._try(bytes(changed), self._steps.keys() - {own})

    def _try(self, content: bytes, expected: set[int]) -> None:
        self.counts["tried"] += 1
        self._path.write_bytes(content)
        try:
            (run,) = read_vasp_runs(self._path)
        except (FinetunaError, ValueError) as error:
            self.counts[outcome(error, self._kind)] += 1
            self.counts["lost"] += len(expected)
            if expected:
                sys.stdout.write(f"\n{len(expected)} steps refused: {error}")
            return
        self.counts["kept"] += 1
        found = run.numbered
        lost = [n for n in expected if n not in found or not same(found[n], self._steps[n])]
        self.counts["lost"] += len(lost)
        if lost:
            sys.stdout.write(f"\nlost {lost} of {len(self._steps)}: {run.told}")
        try:
            join_runs([run])
        except (FinetunaError, ValueError) as error:
            outcome(error, self._kind)


def same(one: FinishedStep, other: FinishedStep) -> bool:
    return one.label.energy == other.label.energy and np.array_equal(
        one.label.forces, other.label.forces
    )


def made(version: str, folder: Path) -> Iterator[tuple[str, str, bytes]]:
    run = relax(oxygen_on_copper(), folder / version, environ={"FAKE_VASP_VERSION": version})
    for kind in STEP:
        yield f"stand-in {version}", kind, (run / kind).read_bytes()


def captured() -> Iterator[tuple[str, str, bytes]]:
    for path in sorted(CAPTURES.rglob("*")):
        kind = next((kind for kind in STEP if path.name.startswith(kind.split(".")[0])), None)
        if kind is None or not path.is_file():
            continue
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        if len(content) <= LARGEST:
            yield str(path.relative_to(CAPTURES)), kind, content


def spoilt(files: Iterator[tuple[str, str, bytes]], folder: Path) -> Counter[str]:
    """Try all, and say how it went."""
    counts: Counter[str] = Counter()
    generator = np.random.default_rng(14)
    for name, kind, content in files:
        try:
            damaged = Damaged(content, kind, folder)
        except (FinetunaError, ValueError) as error:
            counts[outcome(error, kind)] += 1
            counts["tried"] += 1
            continue
        for end in damaged.cuts():
            damaged.cut(end)
        places = generator.integers(0, len(content), BYTES)
        for place, byte in zip(places, generator.integers(0, 256, BYTES), strict=True):
            damaged.spoil(int(place), int(byte))
        counts += damaged.counts
        sys.stdout.write(f"\n{name} {kind}: {dict(damaged.counts)}")
    sys.stdout.write(f"\nin all: {dict(counts)}")
    return counts


def test_files_of_the_stand_in(tmp_path: Path) -> None:
    files = [each for version in ("5.4.4", "6.3.2") for each in made(version, tmp_path)]
    counts = spoilt(iter(files), tmp_path)
    assert counts["tried"] > 100
    assert counts["lost"] == 0


@pytest.mark.shared_data
@pytest.mark.skipif(not CAPTURES.exists(), reason="no captures of VASP beside the repository")
def test_captured_files(tmp_path: Path) -> None:
    counts = spoilt(captured(), tmp_path)
    assert counts["tried"] > 300
    assert counts["lost"] == 0


@pytest.mark.parametrize("packing", ["gz"])
def test_compressed_files(packing: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(15)
    for _, kind, content in made("6.3.2", tmp_path):
        whole = gzip.compress(content, mtime=0)
        path = tmp_path / f"{kind}.{packing}"
        for end in range(0, len(whole), max(1, len(whole) // 20)):
            path.write_bytes(whole[:end])
            check_told(path)
        for place in generator.integers(0, len(whole), 20):
            path.write_bytes(whole[:place] + b"\x00" + whole[place + 1 :])
            check_told(path)


@pytest.mark.parametrize("name", ["run.extxyz", "run.traj", "run.db", "run.json"])
def test_trajectories(name: str, tmp_path: Path) -> None:
    path = write_frames(relaxed_by_ase(), tmp_path / name)
    whole = path.read_bytes()
    generator = np.random.default_rng(16)
    for end in range(0, len(whole), BLOCK):
        path.write_bytes(whole[:end])
        check_told(path)
    for place, byte in generator.integers(0, (len(whole), 256), (BYTES, 2)):
        changed = bytearray(whole)
        changed[place] = byte
        path.write_bytes(changed)
        check_told(path)


def check_told(path: Path) -> None:
    """Whatever cannot be read is told in words."""
    try:
        for found in recordings(path):
            if isinstance(found.result, Exception):
                outcome(found.result, path.name)
    except (FinetunaError, ValueError) as error:
        outcome(error, path.name)
