"""Which tags a label has, and which it refuses."""

from __future__ import annotations

import pytest
from atomate2.vasp.sets.core import RelaxSetGenerator, StaticSetGenerator

from finetuna_flows.parents.specs import Continuation
from finetuna_flows.parents.vasp.incar import MOST_LABELS, label_incar, without_motion
from finetuna_flows.parents.vasp.inputs import make_inputs
from tests.contracts.parent import ParentContract

RELAXATION = {"ENCUT": 350, "IBRION": 2, "NSW": 200, "EDIFFG": -0.03, "POTIM": 0.3, "ISIF": 2}
EVERY = tuple(Continuation)


@pytest.mark.parametrize("kind", EVERY)
def test_all_but_the_motion_is_kept(kind: Continuation) -> None:
    made = label_incar({**RELAXATION, "LREAL": "Auto", "NELM": 100}, {}, kind)
    assert {"ENCUT": 350, "LREAL": "Auto", "NELM": 100, "ISIF": 2}.items() <= made.items()
    assert made["IBRION"] == -1
    assert made.get("EDIFFG", 0) == made.get("POTIM", 0) == 0


def test_an_interactive_vasp_neither_ends_nor_moves_by_itself() -> None:
    made = label_incar(RELAXATION, {}, Continuation.KEPT)
    wanted = {"INTERACTIVE": True, "NSW": MOST_LABELS, "EDIFFG": 0, "POTIM": 0, "ISYM": 0}
    assert wanted.items() <= made.items()
    assert made["IWAVPR"] == 11


def test_a_fresh_vasp_answers_once() -> None:
    made = label_incar({**RELAXATION, "INTERACTIVE": True}, {}, Continuation.COLD)
    assert (made["NSW"], made["ISTART"], made["LWAVE"]) == (0, 0, False)
    assert {"INTERACTIVE", "EDIFFG", "POTIM"}.isdisjoint(made)


def test_a_restarted_vasp_reads_and_writes_wave_functions() -> None:
    made = label_incar({"LWAVE": False}, {}, Continuation.RESTART)
    assert (made["ISTART"], made["LWAVE"], made["LCHARG"]) == (1, True, False)
    assert "ICHARG" not in made
    asked = label_incar({"ICHARG": 1}, {"ICHARG": 1}, Continuation.RESTART)
    assert (asked["ICHARG"], asked["LCHARG"]) == (1, True)


@pytest.mark.parametrize(
    ("kind", "said", "words"),
    [
        (Continuation.KEPT, {"NSW": 0}, "NSW is 0 but must be 2000"),
        (Continuation.KEPT, {"IBRION": 2}, "IBRION is 2 but must be -1"),
        (Continuation.KEPT, {"ediffg": -0.05}, "EDIFFG is -0.05 .* the Maker's `fmax`"),
        (Continuation.KEPT, {"POTIM": 0.5}, "POTIM is 0.5"),
        (Continuation.KEPT, {"ISYM": 2}, "ISYM is 2 .* less symmetry"),
        (Continuation.KEPT, {"INTERACTIVE": ".FALSE."}, "INTERACTIVE is '.FALSE.'"),
        (Continuation.KEPT, {"IWAVPR": 12}, "IWAVPR is 12"),
        (Continuation.KEPT, {"ISTART": 1}, "ISTART is 1"),
        (Continuation.COLD, {"INTERACTIVE": True}, "INTERACTIVE is True but must not be there"),
        (Continuation.COLD, {"EDIFFG": -0.05}, "EDIFFG is -0.05 but must not be there"),
        (Continuation.RESTART, {"LWAVE": False}, "LWAVE is False .* starts from it"),
        (Continuation.RESTART, {"ICHARG": 2}, "ICHARG is 2"),
    ],
)
def test_what_a_user_says_against_it_is_refused(
    kind: Continuation, said: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words + ".*leave it out"):
        label_incar({**RELAXATION, **said}, said, kind)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Continuation.KEPT, {"ISYM": -1, "ISTART": 0, "ICHARG": 2, "INTERACTIVE": ".TRUE."}),
        (Continuation.KEPT, {"EDIFFG": 0, "IBRION": 11, "LWAVE": True}),
        (Continuation.COLD, {"NSW": 0, "ISTART": 0, "LWAVE": True, "EDIFFG": None}),
    ],
)
def test_what_agrees_is_taken(kind: Continuation, said: dict[str, object]) -> None:
    made = label_incar({**RELAXATION, **said}, said, kind)
    assert {tag: value for tag, value in said.items() if value is not None}.items() <= made.items()


def test_a_moving_cell_and_several_images_are_refused() -> None:
    with pytest.raises(ValueError, match="ISIF is 3 but must be at most 2"):
        label_incar({"ISIF": 3}, {}, Continuation.COLD)
    with pytest.raises(ValueError, match="IMAGES is 5"):
        label_incar({"IMAGES": 5}, {}, Continuation.COLD)


def test_a_folder_of_a_relaxation_is_split() -> None:
    settings, motion = without_motion(RELAXATION)
    assert settings == {"ENCUT": 350, "ISIF": 2}
    assert motion == {"IBRION": 2, "NSW": 200, "EDIFFG": -0.03, "POTIM": 0.3}
    for tag in (0, 5, 44):
        with pytest.raises(ValueError, match=f"IBRION is {tag} but must be one of -1, 1, 2, 3"):
            without_motion({"IBRION": tag})


@pytest.mark.parametrize("kind", EVERY)
def test_atomate2s_generators_work(kind: Continuation) -> None:
    atoms = ParentContract.geometry()
    fixed = RelaxSetGenerator(user_incar_settings={"ISIF": 2})
    for generator in (StaticSetGenerator(), fixed):
        inputs = make_inputs(generator, atoms, kind, stand_in=True)
        assert inputs.incar["IBRION"] == -1
        assert inputs.level.startswith("stand-in for VASP PBEsol, 680 eV")
    with pytest.raises(ValueError, match="ISIF is 3"):
        make_inputs(RelaxSetGenerator(), atoms, kind, stand_in=True)
