"""Finished VASP relaxations, written by the stand-in and damaged by hand."""

from __future__ import annotations

import gzip
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from finetuna_flows.errors import ParentError, StructureError
from finetuna_flows.geometry import free_components, moved
from finetuna_flows.reasons import Integrity, StopReason
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.vasp.read import read_vasp_relaxation
from tests.relaxation.vasp_runs import date_back, relax
from tests.systems import oxygen_on_copper

SHIFT = 10.0
"""eV per atom by which the stand-in's E0 lies below EMT's."""
FILES = ("OUTCAR", "vasprun.xml", "POSCAR", "CONTCAR")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return relax(oxygen_on_copper(), tmp_path_factory.mktemp("vasp") / "run")


@pytest.fixture(scope="module")
def whole(finished: Path) -> Relaxation:
    return read_vasp_relaxation(finished, like=oxygen_on_copper())


def copied(finished: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in FILES:
        shutil.copy(finished / name, folder)
    return folder


def cut(file: Path, marker: str, occurrence: int) -> int:
    """Cut a file off at an occurrence of some words; returns the line where that is."""
    parts = file.read_text().split(marker)
    text = marker.join(parts[:occurrence]) + marker
    file.write_text(text)
    return text.count("\n") + 1


def archive(folder: Path, target: Path, number: int) -> None:
    """Put a run's files away as custodian does."""
    with tarfile.open(target / f"error.{number}.tar.gz", "w:gz") as tar:
        for name in FILES:
            tar.add(folder / name, arcname=f"error.{number}/{name}")


def test_every_label_is_what_the_engine_says_there(whole: Relaxation) -> None:
    start = oxygen_on_copper()
    assert whole.method == "VASP CG"
    assert whole.converged
    for step in whole.steps:
        assert step.label is not None
        atoms = moved(start, step.positions)
        atoms.calc = EMT()
        energy = atoms.get_potential_energy() - SHIFT * len(atoms)
        assert step.label.energy == pytest.approx(energy, abs=1e-5)  # positions have 8 decimals
        forces = atoms.get_forces(apply_constraint=False)
        np.testing.assert_allclose(step.label.forces, forces, atol=1e-5)


def test_order_constraints_and_tags_are_those_of_the_structure(
    whole: Relaxation, finished: Path
) -> None:
    start = oxygen_on_copper()
    turned = start[::-1]
    reverse = read_vasp_relaxation(finished, like=turned)
    assert whole.integrity is Integrity.INTACT
    assert (whole.start.get_tags() == start.get_tags()).all()
    assert (free_components(whole.start) == free_components(start)).all()
    assert (free_components(reverse.start) == free_components(turned)).all()
    np.testing.assert_allclose(reverse.final.positions, whole.final.positions[::-1], atol=1e-8)
    turned.pbc = (True, True, False)
    assert read_vasp_relaxation(finished, like=turned).start.pbc.tolist() == [True, True, False]
    bare = read_vasp_relaxation(finished)
    assert bare.integrity is Integrity.NO_ADSORBATE
    assert bare.fmax == whole.fmax


def test_vasprun_and_outcar_say_the_same(whole: Relaxation, finished: Path) -> None:
    outcar = read_vasp_relaxation(finished / "OUTCAR")
    xml = read_vasp_relaxation(finished / "vasprun.xml", like=oxygen_on_copper())
    assert xml.level == whole.level
    for other in (outcar, xml):
        assert other.scf_cycles == whole.scf_cycles
        assert other.energy == pytest.approx(whole.energy, abs=1e-6)
        assert other.fmax == pytest.approx(whole.fmax, abs=1e-6)
    assert [step.parent_time for step in outcar.steps] == [s.parent_time for s in whole.steps]
    assert {step.parent_time for step in xml.steps} == {0.0}


def test_an_outcar_alone_has_no_constraints_and_says_so(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(finished / "OUTCAR", tmp_path)
    assert not read_vasp_relaxation(tmp_path).start.constraints
    assert "does not say which atoms are fixed; all count as free" in caplog.text
    like = read_vasp_relaxation(tmp_path, like=oxygen_on_copper())
    assert (free_components(like.start) == free_components(oxygen_on_copper())).all()


def test_atoms_that_leave_the_cell_go_on_outside(whole: Relaxation, tmp_path: Path) -> None:
    atoms = oxygen_on_copper()
    lattice = np.asarray(atoms.cell)[:2].sum(axis=0)
    shift = np.array([-atoms.positions[8, 0] - 1e-3, -atoms.positions[8, 1] + 1e-3, 0.0])
    atoms.positions += shift + lattice
    folder = relax(atoms, tmp_path / "run")
    shifted = read_vasp_relaxation(folder, like=atoms)
    ways = np.diff([step.positions for step in shifted.steps], axis=0)
    assert np.abs(ways).max() < 1.0
    np.testing.assert_allclose(
        shifted.final.positions - shift - lattice, whole.final.positions, atol=1e-5
    )


@pytest.mark.parametrize(("name", "marker"), [("vasprun.xml", "<scstep>"), ("OUTCAR", "Iteration")])
def test_of_a_file_that_is_cut_off_complete_steps_are_kept(
    name: str, marker: str, finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = read_vasp_relaxation(finished)
    cycles = [step.label.scf_cycles or 0 for step in whole.steps if step.label]
    folder = copied(finished, tmp_path / "cut")
    line = cut(folder / name, marker, sum(cycles[:3]) + 2)
    part = read_vasp_relaxation(folder / name)
    assert part.parent_calls == 3
    assert part.scf_cycles == sum(cycles[:3])
    assert part.stop_reason is StopReason.NOT_RECORDED
    assert f"{name} is cut off at line {line}, in ionic step 4" in caplog.text
    assert read_vasp_relaxation(folder).parent_calls == whole.parent_calls  # the other is whole


@pytest.mark.parametrize("marker", ["TOTAL-FORCE (eV/Angst)\n ", "free  energy   TOTEN"])
def test_a_step_whose_end_is_missing_is_none(marker: str, finished: Path, tmp_path: Path) -> None:
    shutil.copy(finished / "OUTCAR", tmp_path)
    cut(tmp_path / "OUTCAR", marker, 5)
    assert read_vasp_relaxation(tmp_path).parent_calls == 4


def test_a_compressed_file_that_is_cut_off(finished: Path, tmp_path: Path) -> None:
    packed = gzip.compress((finished / "OUTCAR").read_bytes())
    (tmp_path / "OUTCAR.gz").write_bytes(packed[: len(packed) * 2 // 3])
    assert 0 < read_vasp_relaxation(tmp_path).parent_calls < 30


def test_all_tries_count_in_the_order_of_time(
    whole: Relaxation, finished: Path, tmp_path: Path
) -> None:
    first, folder = (copied(finished, tmp_path / name) for name in ("first", "run"))
    date_back(first)
    cut(first / "vasprun.xml", "</calculation>", 2)
    cut(first / "OUTCAR", "LOOP+:", 2)
    archive(first, folder, 1)
    both = read_vasp_relaxation(folder)
    assert both.parent_calls == 2 + whole.parent_calls
    energies = [step.energy for step in whole.steps]
    assert [step.energy for step in both.steps] == [*energies[:2], *energies]
    assert [step.index for step in both.steps] == list(range(both.parent_calls))


def test_an_archive_of_the_run_itself_counts_once(
    whole: Relaxation, finished: Path, tmp_path: Path
) -> None:
    folder = copied(finished, tmp_path / "run")
    archive(finished, folder, 1)
    assert read_vasp_relaxation(folder).parent_calls == whole.parent_calls


def test_both_parts_of_a_double_relaxation_count(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = oxygen_on_copper()
    first = read_vasp_relaxation(finished, like=start)
    again = relax(first.final, tmp_path / "second", EDIFFG=-0.01, ENCUT=400)
    for part, source in (("relax1", finished), ("relax2", again)):
        for name in FILES:
            with gzip.open(tmp_path / f"{name}.{part}.gz", "wb") as packed:
                packed.write((source / name).read_bytes())
    both = read_vasp_relaxation(tmp_path, like=start)
    second = read_vasp_relaxation(again)
    assert both.parent_calls == first.parent_calls + second.parent_calls
    assert both.fmax_threshold == 0.01
    assert both.energy == second.energy
    assert both.level == second.level
    assert "is at another level" in caplog.text
    assert both.converged


def test_a_looser_threshold_ends_it_earlier(whole: Relaxation, finished: Path) -> None:
    loose = read_vasp_relaxation(finished, fmax=0.3)
    assert loose.converged
    assert loose.parent_calls < whole.parent_calls
    assert loose.fmax is not None
    assert loose.fmax <= 0.3
    strict = read_vasp_relaxation(finished, fmax=1e-4)
    assert strict.parent_calls == whole.parent_calls
    assert not strict.converged


def test_nsw_is_a_limit_of_steps(tmp_path: Path) -> None:
    folder = relax(oxygen_on_copper(), tmp_path / "run", NSW=3)
    stopped = read_vasp_relaxation(folder)
    assert stopped.stop_reason is StopReason.MAX_STEPS
    assert stopped.parent_calls == 3


def test_the_energy_that_vasp_5_writes_wrongly_is_mended(tmp_path: Path) -> None:
    atoms = oxygen_on_copper()
    environ = {"FAKE_VASP_VERSION": "5.4.4"}
    folder = relax(atoms, tmp_path / "run", environ=environ, NSW=2)
    wrong = (folder / "vasprun.xml").read_text().rpartition('name="e_0_energy">')[2].split()[0]
    first = read_vasp_relaxation(folder / "vasprun.xml").steps[0]
    atoms.calc = EMT()
    energy = atoms.get_potential_energy() - SHIFT * len(atoms)
    assert first.energy == pytest.approx(energy, abs=1e-5)
    assert float(wrong) != pytest.approx(energy, abs=1.0)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"NSW": 0, "IBRION": -1}, r"IBRION -1 \(one geometry\) but a relaxation has one of 1"),
        ({"INTERACTIVE": True}, r"IBRION 11 \(interactive"),
    ],
)
def test_what_is_no_relaxation_is_refused(tags: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder = relax(oxygen_on_copper(), tmp_path / "run", **tags)
    with pytest.raises(ValueError, match=words):
        read_vasp_relaxation(folder)


def test_a_cell_that_changes_is_refused(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "run")
    (folder / "OUTCAR").unlink()
    parts = (folder / "vasprun.xml").read_text().split('<varray name="basis" >')
    parts[5] = f"<v> 5.2 0.0 0.0 </v>{parts[5].partition('</v>')[2]}"
    (folder / "vasprun.xml").write_text('<varray name="basis" >'.join(parts))
    with pytest.raises(ValueError, match=r"changed the cell .* fixed cell can be compared"):
        read_vasp_relaxation(folder)


def away(atoms: Atoms) -> Atoms:
    atoms.positions[8] += (0.0, 0.0, 0.4)
    return atoms


def larger(atoms: Atoms) -> Atoms:
    atoms.set_cell(atoms.cell[:] * 1.1)
    return atoms


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (away, r"atom 8 \(O\) of the structure is 0\.400 Å from any"),
        (larger, r"has the cell .* but the structure"),
        (lambda atoms: atoms[:-1], "relaxes .* but the structure is Cu8"),
        (lambda atoms: atoms[[*range(9)]] if atoms.set_constraint() else atoms, "fixed atom 0"),
    ],
)
def test_another_structure_is_refused(change: object, words: str, finished: Path) -> None:
    assert callable(change)
    with pytest.raises(StructureError, match=words):
        read_vasp_relaxation(finished, like=change(oxygen_on_copper()))


def test_files_of_two_calculations_are_refused(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "run")
    text = (folder / "OUTCAR").read_text()
    (folder / "OUTCAR").write_text(re.sub(r"(free  energy   TOTEN  = +)-\d", r"\1-5", text))
    with pytest.raises(ParentError, match="not of one calculation: F of ionic step 1"):
        read_vasp_relaxation(folder)


def test_a_row_that_is_cut_short_costs_its_step_alone(
    whole: Relaxation, finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = (finished / "OUTCAR").read_text()
    before, words, after = text.partition("TOTAL-FORCE (eV/Angst)")
    rows = after.split("\n")
    rows[2] = rows[2][:30]
    (tmp_path / "OUTCAR").write_text(before + words + "\n".join(rows))
    read = read_vasp_relaxation(tmp_path)
    assert re.search(
        r"OUTCAR ionic step 1 \(line \d+\) cannot be read: '.*' are not 6", caplog.text
    )
    assert [step.energy for step in read.steps] == pytest.approx(
        [step.energy for step in whole.steps[1:]], abs=1e-7
    )
    assert (read.parent_calls, read.lost_calls) == (whole.parent_calls, 1)
    assert read.converged
    assert read.scf_cycles is None


@pytest.mark.parametrize("fault", ["nan", "stars"])
@pytest.mark.parametrize("alone", [False, True])
def test_forces_that_are_no_numbers_are_no_label(
    fault: str, alone: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {"FAKE_VASP_FAULT": f"{fault}@2"}
    folder = relax(oxygen_on_copper(), tmp_path / "run", environ=environ)
    read = read_vasp_relaxation(folder / "OUTCAR" if alone else folder)
    name = "OUTCAR" if alone else "vasprun.xml"
    assert re.search(rf"damaged, left out: .*{name} ionic step 2 \(line \d+\)", caplog.text)
    assert read.lost_calls == 1
    assert read.parent_calls == 1 + len(read.steps)


def with_columns(row: str, more: str) -> str:
    """A row of the table of forces with columns behind it."""
    return row + more if re.fullmatch(r"( +-?\d+\.\d{5}){3}( +-?\d+\.\d{6}){3}", row) else row


@pytest.mark.parametrize(
    "more",
    ["      0.100000     -0.200000      0.300000", "           NaN" * 3, "*" * 28, " 0.1" * 6],
)
def test_columns_behind_the_forces_are_left_out(
    more: str, whole: Relaxation, finished: Path, tmp_path: Path
) -> None:
    text = (finished / "OUTCAR").read_text()
    text = text.replace("TOTAL-FORCE (eV/Angst)", "TOTAL-FORCE (eV/Angst),  FORCE-w/o vdW")
    lines = [with_columns(line, more) for line in text.split("\n")]
    (tmp_path / "OUTCAR").write_text("\n".join(lines))
    read = read_vasp_relaxation(tmp_path, like=oxygen_on_copper())
    assert (read.parent_calls, read.lost_calls, read.converged) == (whole.parent_calls, 0, True)
    for one, other in zip(read.steps, whole.steps, strict=True):
        np.testing.assert_allclose(one.forces, other.forces, atol=1e-6)


def changed(file: Path, pattern: str, new: str, number: int) -> None:
    """Put something else in place of the group of one of the matches of a pattern, from 1."""
    text = file.read_text()
    match = list(re.finditer(pattern, text))[number - 1]
    file.write_text(text[: match.start(1)] + new.ljust(len(match[1])) + text[match.end(1) :])


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("OUTCAR", r"free  energy   TOTEN  =( +-?\d+\.\d+)"),
        ("OUTCAR", r"energy  without entropy=.*energy\(sigma->0\) =( +-?\d+\.\d+)"),
        ("OUTCAR", r"direct lattice vectors.*\n( +-?\d+\.\d+)"),
        ("vasprun.xml", r'</varray>\n *<energy>\n *<i name="e_fr_energy">( *-?\d+\.\d+)'),
        ("vasprun.xml", r'</scstep>\n(?:.*\n){1,3} *<varray name="basis" >\n *<v>( *-?\d+\.\d+)'),
        ("vasprun.xml", r'</crystal>\n *<varray name="positions" >\n *<v>( *-?\d+\.\d+)'),
    ],
)
def test_stars_in_place_of_a_number(
    name: str, pattern: str, whole: Relaxation, finished: Path, tmp_path: Path
) -> None:
    folder = copied(finished, tmp_path / "run")
    changed(folder / name, pattern, "*" * 14, 3)
    read = read_vasp_relaxation(folder / name)
    assert (len(read.steps), read.lost_calls) == (whole.parent_calls - 1, 1)
    both = read_vasp_relaxation(folder)
    assert both.lost_calls == 0  # the other file has it
    assert [step.energy for step in both.steps] == pytest.approx(
        [step.energy for step in whole.steps], abs=1e-6
    )


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(
    "gone", [r"TITEL  =", r"TITEL  =(?= PAW_PBE O)|VRHFIN =", r"TITEL  =|POTCAR: |VRHFIN ="]
)
def test_elements_are_told_in_several_places(
    gone: str, beside: bool, whole: Relaxation, finished: Path, tmp_path: Path
) -> None:
    text = re.sub(gone, "#", (finished / "OUTCAR").read_text())
    (tmp_path / "OUTCAR").write_text(text)
    if beside:
        shutil.copy(finished / "POSCAR", tmp_path)
    if gone.count("|") == 2 and not beside:
        with pytest.raises(ParentError, match=r"does not tell its 9 atoms.*lay the POSCAR beside"):
            read_vasp_relaxation(tmp_path)
        return
    read = read_vasp_relaxation(tmp_path, like=oxygen_on_copper())
    assert (read.parent_calls, read.converged) == (whole.parent_calls, True)


def test_elements_that_are_told_in_part_are_not_guessed(finished: Path, tmp_path: Path) -> None:
    text = re.sub("TITEL  =|VRHFIN =Cu", "#", (finished / "OUTCAR").read_text())
    (tmp_path / "OUTCAR").write_text(re.sub(r"POTCAR: .*Cu.*", "#", text))
    with pytest.raises(ParentError, match=r"names 0 POTCARs \(TITEL\) and \d \(POTCAR:\)"):
        read_vasp_relaxation(tmp_path)
    shutil.copy(finished / "POSCAR", tmp_path)
    assert read_vasp_relaxation(tmp_path).start.symbols.count("Cu") == 8


def test_the_majority_of_places_tells_an_element(
    whole: Relaxation, finished: Path, tmp_path: Path
) -> None:
    text = (finished / "OUTCAR").read_text()
    (tmp_path / "OUTCAR").write_text(text.replace("VRHFIN =Cu", "VRHFIN =Au"))
    found = read_vasp_relaxation(tmp_path).start
    assert sorted(found.symbols) == sorted(whole.start.symbols)


@pytest.mark.parametrize("name", ["POSCAR", "CONTCAR"])
def test_what_lies_beside_whole_results_costs_a_warning(
    name: str,
    whole: Relaxation,
    finished: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = copied(finished, tmp_path / "run")
    for bad in (b"", b"garbage\n", b"Cu\n1.0\n1 0 0\n\xff\n", gzip.compress(b"x")):
        (folder / name).write_bytes(bad)
        assert read_vasp_relaxation(folder).parent_calls == whole.parent_calls
        assert read_vasp_relaxation(folder / "OUTCAR").parent_calls == whole.parent_calls
    assert f"{name} cannot be read" in caplog.text


def test_one_energy_that_differs_between_the_files_costs_its_step_alone(
    whole: Relaxation, finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copied(finished, tmp_path / "run")
    changed(folder / "OUTCAR", r"free  energy   TOTEN  =( +-?\d+\.\d+)", "  -77.0", 3)
    read = read_vasp_relaxation(folder)
    assert read.lost_calls == 1
    assert "contradict each other: F of ionic step 3 is" in caplog.text
    assert read.parent_calls == whole.parent_calls


def test_a_damaged_element_costs_its_step_alone(
    whole: Relaxation, finished: Path, tmp_path: Path
) -> None:
    for marker, new in (
        ("(<calculation>)", "<cal#ulation>"),
        ("(</calculation>)", "</cal<ulation>"),
    ):
        (tmp_path / "vasprun.xml").write_bytes((finished / "vasprun.xml").read_bytes())
        changed(tmp_path / "vasprun.xml", marker, new, 2)
        read = read_vasp_relaxation(tmp_path)
        assert read.lost_calls == 1
        kept = [step.energy for step in whole.steps]
        del kept[1]
        assert [step.energy for step in read.steps] == pytest.approx(kept, abs=1e-9)


def test_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no vasprun\.xml and no OUTCAR"):
        read_vasp_relaxation(tmp_path)
    with pytest.raises(ValueError, match="nowhere is not there"):
        read_vasp_relaxation(tmp_path / "nowhere")
    (tmp_path / "OUTCAR").write_text("vasp.6.3.2\n")
    with pytest.raises(ParentError, match="ends before its first geometry"):
        read_vasp_relaxation(tmp_path)


def test_a_damaged_archive_is_named(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "run")
    (folder / "error.1.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(ParentError, match=r"error\.1\.tar\.gz is damaged"):
        read_vasp_relaxation(folder)


def test_fmax_must_be_a_force(finished: Path) -> None:
    with pytest.raises(ValueError, match=r"`fmax` is -1\.0"):
        read_vasp_relaxation(finished, fmax=-1.0)


def test_a_criterion_of_energy_is_an_end_of_its_own(tmp_path: Path) -> None:
    folder = relax(oxygen_on_copper(), tmp_path / "run", EDIFFG=0.01)
    relaxation = read_vasp_relaxation(folder)
    assert relaxation.stop_reason is StopReason.OTHER_CRITERION
    assert not relaxation.converged


def test_a_step_that_is_not_self_consistent_counts_but_is_no_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fault = {"FAKE_VASP_FAULT": "unconverged@3"}
    folder = relax(oxygen_on_copper(), tmp_path / "run", environ=fault, NSW=3)
    for damaged in (False, True):
        if damaged:
            (folder / "vasprun.xml").unlink()
        relaxation = read_vasp_relaxation(folder)
        assert relaxation.parent_calls == 3
        assert relaxation.ended_at == 1
        assert relaxation.stop_reason is StopReason.MAX_STEPS
    assert "the 1 ionic steps after step 2 are not self-consistent" in caplog.text
