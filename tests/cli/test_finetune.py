"""What ``finetuna-flows finetune`` says and returns when it refuses."""

from __future__ import annotations

import json
from contextlib import chdir
from pathlib import Path

import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from finetuna_flows.finetuning.recipe import CHECKPOINT
from tests.finetuning.copper_surfaces import copper_frames

WORDS = ("finetune", "frames.extxyz", "--save-as", "toys")
TOY = (*WORDS, "--surrogate", "toy")
RECIPE = {"learning_rate": 5e-3, "epochs": 1, "validation": 0.3}
ONE_EPOCH = ("--recipe-args", json.dumps(RECIPE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    labelled = []
    for frame in copper_frames(2):
        atoms = frame.atoms.copy()
        atoms.calc = SinglePointCalculator(
            atoms, energy=frame.label.energy, forces=frame.label.forces
        )
        labelled.append(atoms)
    write(tmp_path / "frames.extxyz", labelled)
    write(tmp_path / "one.extxyz", labelled[:2])
    return tmp_path


def run(folder: Path, *words: str) -> Result:
    environment = {
        "FINETUNA_FLOWS_STORE_PATH": str(folder / "store"),
        "FINETUNA_FLOWS_CONFIG_FILE": str(folder / "settings.yaml"),
        "FINETUNA_FLOWS_MODELS_PATH": str(folder / "models"),
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
    }
    with chdir(folder):
        return CliRunner().invoke(app, words, env=environment)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("finetune", "one.extxyz", *TOY[2:]), "1 system"),
        ((*TOY, "--recipe-args", '{"train": ["tail.*"]}'), "tail.*"),
        ((*TOY, "--recipe-args", '{"epoch": 3}'), "epoch"),
        ((*WORDS, "--surrogate", "ase:ase.calculators.emt:EMT"), "AseSurrogateSpec"),
        ((*WORDS, "--surrogate", "ensemble:toy"), "EnsembleSpec"),
        (("finetune", "nowhere.extxyz", *TOY[2:]), "nowhere.extxyz"),
        ((*WORDS, "--surrogate-args", '{"model": "r2scan"}'), "but --surrogate is missing"),
    ],
)
def test_a_refusal_is_one_line_and_its_code_says_so(
    folder: Path, words: tuple[str, ...], told: str
) -> None:
    done = run(folder, *words)
    assert done.exit_code == 2, done.stderr
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (folder / "models").exists()


@pytest.mark.parametrize(
    ("surrogate", "told"),
    [
        (("saved:nothing",), "models/nothing holds no model.json"),
        (("fairchem:nothing.pt", "--surrogate-args", '{"task": "oc20"}'), "nothing.pt, which is"),
    ],
)
def test_a_surrogate_that_is_not_there_is_refused_before_any_work(
    folder: Path, surrogate: tuple[str, ...], told: str
) -> None:
    done = run(folder, *WORDS, "--surrogate", *surrogate)
    assert done.exit_code == 2, done.stderr
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "runs").exists()


def test_a_name_that_is_taken_is_refused_in_one_line(folder: Path) -> None:
    assert run(folder, *TOY, *ONE_EPOCH).exit_code == 0
    done = run(folder, *TOY, *ONE_EPOCH)
    assert done.exit_code == 2
    assert "overwrite" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_training_is_refused_and_set_aside_where_it_is_asked_for(folder: Path) -> None:
    assert run(folder, *TOY, *ONE_EPOCH).exit_code == 0
    other = (*TOY, "--overwrite", "--recipe-args", json.dumps(RECIPE | {"batch": 2}))
    refused = run(folder, *other)
    assert refused.exit_code == 2
    assert "belongs to other frames, another surrogate or another recipe" in refused.stderr
    assert "Traceback" not in refused.stderr
    done = run(folder, *other, "--fresh")
    assert done.exit_code == 0, done.stderr
    assert (folder / "runs" / "finetune_toys" / "fine-tune" / f"{CHECKPOINT}.1").exists()


def test_a_training_that_fails_is_told_from_a_refusal(folder: Path) -> None:
    recipe = json.dumps(RECIPE | {"learning_rate": 30.0})
    done = run(folder, *TOY, "--recipe-args", recipe)
    assert done.exit_code == 3
    assert "but must fall" in done.stderr
    assert "Traceback" not in done.stderr
