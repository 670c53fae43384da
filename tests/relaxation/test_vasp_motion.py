"""What a run of VASP was, by the tags that say it: of finished runs and of input files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from finetuna_flows.parents.specs import Continuation
from finetuna_flows.parents.vasp.incar import label_incar, without_motion
from finetuna_flows.relaxation.vasp.read import read_vasp_relaxation
from finetuna_flows.vasp.motion import VTST_OPTIMIZERS, motion_of
from tests.relaxation.vasp_runs import relax
from tests.systems import oxygen_on_copper
from tests.vasp import CAPTURES, captured

OTHER_RUNS: list[tuple[dict[str, Any], str]] = [
    ({"IMAGES": 5}, r"IMAGES 5 \(one image of a reaction path\)"),
    ({"IMAGES": 4, "SPRING": -5, "LCLIMB": ".TRUE."}, r"IMAGES 4 \(one image"),
    ({"SPRING": -5}, r"SPRING -5 \(of a reaction path\)"),
    ({"LCLIMB": True}, r"LCLIMB T \(of a reaction path\)"),
    ({"ICHAIN": 1}, r"ICHAIN 1 \(VTST's dynamical matrix\)"),
    ({"ICHAIN": 2, "IBRION": 3, "IOPT": 2}, r"ICHAIN 2 \(a transition state by VTST's dimer"),
    ({"ICHAIN": 3}, r"ICHAIN 3 \(a transition state by VTST's Lanczos"),
    ({"MDALGO": 2}, r"MDALGO 2 \(molecular dynamics\)"),
    ({"LBLUEOUT": "T"}, r"LBLUEOUT T \(constrained molecular dynamics"),
    ({"ML_LMLFF": ".TRUE."}, r"ML_LMLFF T \(a machine-learned force field, not all"),
    ({"ML_LMLFF": True, "ML_MODE": "run"}, r"ML_LMLFF T \(.* alone, whose steps are none of DFT"),
    ({"ML_LMLFF": "T", "ML_ISTART": 2}, r"alone, whose steps are none of DFT"),
    ({"ML_LMLFF": "T", "ML_MODE": "refit"}, r"a machine-learned force field made from earlier"),
]
"""That are no relaxations by DFT, whatever IBRION is."""
OTHER_IBRIONS = [
    (-1, "one geometry"),
    (0, "molecular dynamics"),
    (5, "phonons"),
    (6, "phonons"),
    (7, "phonons"),
    (8, "phonons"),
    (11, "interactive"),
    (40, "an intrinsic reaction coordinate"),
    (44, "a transition state by the dimer method"),
    (99, "something else"),
]
HARMLESS: list[dict[str, Any]] = [
    {"IMAGES": 0, "SPRING": -5},
    {"ICHAIN": 0},
    {"IOPT": 0},
    {"MDALGO": 0},
    {"LBLUEOUT": ".FALSE."},
    {"ML_LMLFF": ".FALSE.", "ML_MODE": "train"},
    {"ML_MODE": "train"},
    {"MAXMOVE": 0.2},
]
RELAXED = {"IBRION": 2, "NSW": 60}


@pytest.mark.parametrize(("tags", "words"), OTHER_RUNS)
def test_other_runs_are_named(tags: dict[str, Any], words: str) -> None:
    motion = motion_of({**RELAXED, **tags})
    assert not motion.method
    assert re.search(words, motion.refusal)
    assert re.search("no relaxation by DFT has; (import|relax) ", motion.refusal)


@pytest.mark.parametrize(("ibrion", "words"), OTHER_IBRIONS)
def test_what_ibrion_makes_no_relaxation_is_named(ibrion: int, words: str) -> None:
    motion = motion_of({"IBRION": ibrion, "NSW": 60})
    assert not motion.method
    assert f"IBRION {ibrion} ({words}" in motion.refusal
    assert "but a relaxation has one of 1 (VASP quasi-Newton), 2 (VASP CG), 3" in motion.refusal


@pytest.mark.parametrize("tags", HARMLESS)
def test_tags_without_a_meaning_make_nothing_else_of_it(tags: dict[str, Any]) -> None:
    assert motion_of({**RELAXED, **tags}).method == "VASP CG"


@pytest.mark.parametrize(("number", "name"), sorted(VTST_OPTIMIZERS.items()))
def test_vtsts_optimizers_are_named(number: int, name: str) -> None:
    tags = {"IBRION": " 3", "NSW": "60", "POTIM": "0.0", "IOPT": f"  {number}"}
    assert motion_of(tags).method == name
    assert motion_of({**tags, "IOPT": 0}).method == "VASP damped"


def test_an_optimizer_that_is_not_known_has_its_number() -> None:
    assert motion_of({"IBRION": 3, "NSW": 60, "IOPT": 9}).method == "VTST IOPT 9"


def test_damped_dynamics_without_a_time_step_is_vtsts() -> None:
    still = {"IBRION": 3, "NSW": 60, "POTIM": "0.0000"}
    assert motion_of(still).method == "VTST"  # an OUTCAR of VASP 5 tells no IOPT
    assert motion_of({**still, "POTIM": 0.1}).method == "VASP damped"
    assert motion_of({**still, "IOPT": 3}).method == "VTST quick-min"


@pytest.mark.parametrize("ibrion", [1, 2])
def test_vtsts_optimizer_beside_vasps_refuses(ibrion: int) -> None:
    motion = motion_of({"IBRION": ibrion, "NSW": 60, "IOPT": 7})
    words = rf"IOPT 7 \(VTST FIRE, which needs IBRION 3, and not {ibrion}\).*set IBRION to 3"
    assert re.search(words, motion.refusal)


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ({"IBRION": 1}, "VASP quasi-Newton"),
        ({"IBRION": 3}, "VASP damped"),
        ({"IBRION": 3, "POTIM": 0.0, "IOPT": 1, "ILBFGSMEM": 20}, "VTST L-BFGS"),
        ({"IBRION": 3, "IOPT": 3, "TIMESTEP": 0.1}, "VTST quick-min"),
    ],
)
def test_a_finished_run_has_its_optimizers_name_and_the_same_level(
    tags: dict[str, Any], name: str, tmp_path: Path
) -> None:
    atoms = oxygen_on_copper()
    moving = {tag: value for tag, value in tags.items() if tag != "POTIM"}  # the stand-in uses it
    plain = relax(atoms, tmp_path / "plain", NSW=2)
    folder = relax(atoms, tmp_path / "run", NSW=2, **moving)
    for file in ("", "OUTCAR", "vasprun.xml"):
        relaxation = read_vasp_relaxation(folder / file)
        assert relaxation.method == name
        assert relaxation.level == read_vasp_relaxation(plain / file).level
        said = f"relaxed by {name}, as IOPT {tags.get('IOPT')} under IBRION 3 says"
        assert relaxation.inferred == ((said,) if "IOPT" in tags else ())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return relax(oxygen_on_copper(), tmp_path_factory.mktemp("vasp") / "run", NSW=2)


def with_tags(finished: Path, folder: Path, tags: dict[str, Any]) -> Path:
    """The same files with more tags in the INCAR that they repeat."""
    for name, head, form in (
        ("OUTCAR", " INCAR:\n", "   {} = {}\n"),
        ("vasprun.xml", " <incar>\n", '  <i name="{}">{}</i>\n'),
    ):
        said = "".join(form.format(*item) for item in tags.items())
        text = (finished / name).read_text()
        for tag in tags:
            text = re.sub(rf"({tag}\W+) \d+", rf"\1 {tags[tag]}", text)
        (folder / name).write_text(text.replace(head, head + said, 1))
    return folder


@pytest.mark.parametrize(("tags", "words"), OTHER_RUNS)
def test_a_finished_run_of_something_else_refuses(
    tags: dict[str, Any], words: str, finished: Path, tmp_path: Path
) -> None:
    folder = with_tags(finished, tmp_path, tags)
    for source in (folder, folder / "OUTCAR", folder / "vasprun.xml"):
        with pytest.raises(ValueError, match=words):
            read_vasp_relaxation(source)


@pytest.mark.parametrize(("ibrion", "words"), OTHER_IBRIONS)
def test_a_finished_run_of_another_ibrion_refuses(
    ibrion: int, words: str, finished: Path, tmp_path: Path
) -> None:
    folder = with_tags(finished, tmp_path, {"IBRION": ibrion})
    for source in (folder, folder / "OUTCAR", folder / "vasprun.xml"):
        with pytest.raises(ValueError, match=rf"has IBRION {ibrion} \({words}"):
            read_vasp_relaxation(source)


@pytest.mark.parametrize(("tags", "words"), OTHER_RUNS)
def test_inputs_of_something_else_refuse(tags: dict[str, Any], words: str) -> None:
    tag, value = re.split(r" |\\", words)[:2] if words[0].isupper() else ("ML_LMLFF", "T")
    said = f"{tag} is {value}"
    for kind in Continuation:
        with pytest.raises(ValueError, match=said):
            label_incar(tags, tags, kind)
    with pytest.raises(ValueError, match=said):
        without_motion({**RELAXED, **tags})


def test_labels_leave_vtsts_optimizer_out() -> None:
    vtst = {"IBRION": 3, "POTIM": 0.0, "NSW": 60, "IOPT": 7, "MAXMOVE": 0.2, "TIMESTEP": 0.1}
    settings, motion = without_motion({"ENCUT": 400, **vtst})
    assert settings == {"ENCUT": 400}
    assert motion == vtst
    for kind in Continuation:
        assert not {"IOPT", "MAXMOVE", "TIMESTEP"} & set(label_incar(vtst, {}, kind))
        with pytest.raises(ValueError, match=r"IOPT is 7 but must not be there .* moves the atoms"):
            label_incar({"ENCUT": 400, "IOPT": 7}, {"IOPT": 7}, kind)


@captured
@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "pymatgen-test-files/io/vasp/outputs/vasprun.ml_md.xml.gz",
            r"IBRION 0 \(molecular dynamics\) and ML_LMLFF T .* 20 are of DFT and 80 of the force",
        ),
        (
            "vasp-interactive/tests/mlff_outputs/OUTCAR.istart0",
            r"IBRION 11 .* and ML_LMLFF T \(a machine-learned force field, not all of whose steps",
        ),
        (
            "vasp-interactive/tests/mlff_outputs/OUTCAR.istart1",
            r"ML_LMLFF T .* 10 are of DFT and 2 of the force field alone, which are no labels",
        ),
    ],
)
def test_steps_of_real_machine_learned_runs_are_told_apart(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_vasp_relaxation(CAPTURES / name)
