"""VASP's own relaxation as a job, run by the stand-in under custodian."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from atomate2.vasp.powerups import update_user_incar_settings
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar

from finetuna_flows.errors import CheckpointError, ParentError
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.flows.vasp_cg import VaspCgMaker
from finetuna_flows.geometry import free_components
from finetuna_flows.parents.specs import Continuation, VaspParentSpec
from finetuna_flows.parents.vasp.sets import OC20SetGenerator
from finetuna_flows.protocols import PreparingParent
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.files import LABELS
from finetuna_flows.results.portable import to_ase
from tests.relaxation.vasp_runs import date_back
from tests.systems import oxygen_on_copper
from tests.vasp import COMMAND, running_below

pytestmark = pytest.mark.filterwarnings("ignore:No POTCAR file with matching TITEL:UserWarning")


@pytest.fixture(autouse=True)
def command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VASP_COMMAND", COMMAND)


def maker(**fields: Any) -> VaspCgMaker:
    tags = {"NSW": 60, **fields.pop("tags_of_incar", {})}
    return VaspCgMaker(
        **{
            "fmax": 0.05,
            "input_set_generator": OC20SetGenerator(user_incar_settings=tags),
            "run_vasp_kwargs": {"custodian_kwargs": {"polling_time_step": 0.05}},
            **fields,
        }
    )


def run(made: VaspCgMaker, where: Path, prev_dir: Path | None = None) -> RelaxationDoc:
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    where.mkdir(exist_ok=True)
    job = made.make(oxygen_on_copper(), prev_dir=prev_dir)
    responses = run_locally(
        job, store=store, root_dir=where, create_folders=False, raise_immediately=True, log=False
    )
    doc = responses[job.uuid][1].output
    assert isinstance(doc, RelaxationDoc)
    return doc


def test_a_maker_is_its_json() -> None:
    made = maker(tags=("cg",))
    assert json.loads(json.dumps(made, cls=MontyEncoder), cls=MontyDecoder) == made


def test_a_structure_becomes_a_document(tmp_path: Path) -> None:
    start = oxygen_on_copper()
    doc = run(maker(tags=("cg",)), tmp_path)
    assert doc.converged
    assert doc.method == doc.name == "VASP CG"
    assert doc.fmax is not None
    assert doc.fmax <= 0.05 == doc.fmax_threshold
    assert doc.tags == ("cg",)
    assert doc.integrity == "intact"
    begun = to_ase(doc.initial_structure)
    np.testing.assert_allclose(begun.positions, start.positions, atol=1e-6)
    assert (begun.get_tags() == start.get_tags()).all()
    assert (free_components(begun) == free_components(start)).all()
    assert Incar.from_file(tmp_path / "INCAR")["EDIFFG"] == -0.05
    assert len(ase.io.read(tmp_path / LABELS, ":")) == doc.parent_calls
    contcar = ase.io.read(tmp_path / "CONTCAR")
    poscar = ase.io.read(tmp_path / "POSCAR")
    assert isinstance(contcar, Atoms)
    assert isinstance(poscar, Atoms)
    assert contcar.get_chemical_symbols() == poscar.get_chemical_symbols()  # VASP's own is left


def test_the_level_is_that_of_the_parent_with_the_same_settings(tmp_path: Path) -> None:
    made = maker(input_set_generator=OC20SetGenerator())
    parent = VaspParentSpec(OC20SetGenerator(), Continuation.COLD).build()
    assert isinstance(parent, PreparingParent)
    parent.prepare(oxygen_on_copper())
    assert run(made, tmp_path).level_of_theory == parent.level


def test_a_finished_run_is_imported_instead_of_run_again(tmp_path: Path) -> None:
    first = run(maker(), tmp_path / "one")
    written = (tmp_path / "one" / "OUTCAR").stat().st_mtime_ns
    again = run(maker(tags=("again",)), tmp_path / "one")
    assert again.energy == first.energy
    assert again.parent_calls == first.parent_calls
    assert (tmp_path / "one" / "OUTCAR").stat().st_mtime_ns == written
    elsewhere = run(maker(), tmp_path / "two", prev_dir=tmp_path / "one")
    assert elsewhere.energy == first.energy
    assert not (tmp_path / "two" / "OUTCAR").exists()


def test_a_run_of_other_inputs_is_not(tmp_path: Path) -> None:
    first = run(maker(), tmp_path / "one")
    finer = maker(tags_of_incar={"ENCUT": 400})
    with pytest.raises(CheckpointError, match="holds a VASP run with another INCAR"):
        run(finer, tmp_path / "one")
    other = run(finer, tmp_path / "two", prev_dir=tmp_path / "one")
    assert "400 eV" in other.level_of_theory
    assert (tmp_path / "two" / "OUTCAR").exists()
    assert first.level_of_theory != other.level_of_theory


@pytest.mark.filterwarnings("ignore:.*POTCARs.*")
def test_other_potcars_are_other_inputs(tmp_path: Path) -> None:
    run(maker(), tmp_path / "one")
    semicore = OC20SetGenerator(
        user_incar_settings={"NSW": 60}, user_potcar_settings={"Cu": "Cu_pv"}
    )
    with pytest.raises(CheckpointError, match=r"holds a VASP run with another POTCAR\.spec"):
        run(maker(input_set_generator=semicore), tmp_path / "one")


def test_a_try_that_custodian_corrected_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run(maker(), tmp_path / "alone")
    monkeypatch.setenv("FAKE_VASP_FAULT", "zpotrf@3")
    monkeypatch.setenv("FAKE_VASP_FAULT_FILE", str(tmp_path / "happened"))
    doc = run(maker(), tmp_path / "run")
    assert doc.converged
    assert doc.parent_calls > 2
    with tarfile.open(tmp_path / "run" / "error.1.tar.gz") as tar:
        (member,) = [each for each in tar.getnames() if each.endswith("OUTCAR")]
        stream = tar.extractfile(member)
        assert stream is not None
        assert stream.read().count(b"LOOP+") == 2
    last = (tmp_path / "run" / "OUTCAR").read_text()
    assert doc.parent_calls == 2 + last.count("LOOP+")
    assert doc.parent_calls >= alone.parent_calls
    given, final = (Incar.from_file(tmp_path / "run" / name) for name in ("INCAR.orig", "INCAR"))
    assert given != final


def test_an_unfinished_try_of_the_same_goes_on_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run(maker(), tmp_path / "alone")
    monkeypatch.setenv("FAKE_VASP_FAULT", "kill@5")
    for _ in range(2):
        with pytest.raises(ParentError, match=r"VASP's relaxation in .* failed") as caught:
            run(maker(), tmp_path / "run")
        assert caught.value.retryable
        date_back(tmp_path / "run")
    reached = to_ase(Structure.from_file(tmp_path / "run" / "CONTCAR"))
    monkeypatch.delenv("FAKE_VASP_FAULT")
    doc = run(maker(), tmp_path / "run")
    assert doc.converged
    assert doc.energy == pytest.approx(alone.energy, abs=0.01)
    begun = ase.io.read(tmp_path / "run" / "POSCAR")
    assert isinstance(begun, Atoms)
    np.testing.assert_allclose(begun.positions, reached.positions, atol=1e-6)
    assert (free_components(begun) == free_components(oxygen_on_copper())).all()
    steps = (tmp_path / "run" / "OUTCAR").read_text().count("LOOP+")
    assert doc.parent_calls == 4 + 4 + steps
    again = run(maker(), tmp_path / "run")  # what is finished is not run again
    assert again.parent_calls == doc.parent_calls


def test_what_vasp_said_last_is_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VASP_FAULT", "die@2")
    with pytest.raises(ParentError, match=r"last words: .+"):
        run(maker(), tmp_path)
    assert (tmp_path / "OUTCAR").exists()


def test_without_a_command_it_says_how_to_give_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VASP_COMMAND")
    with pytest.raises(ParentError, match="no command starts VASP"):
        run(maker(), tmp_path)
    words = {**maker().run_vasp_kwargs, "vasp_cmd": COMMAND}
    assert run(maker(run_vasp_kwargs=words), tmp_path).converged


def test_powerups_of_atomate2_reach_the_input_set() -> None:
    job = maker().make(oxygen_on_copper())
    changed = update_user_incar_settings(job, {"ENCUT": 420}, class_filter=VaspCgMaker)
    assert isinstance(changed.maker, VaspCgMaker)
    assert changed.maker.input_set_generator.user_incar_settings["ENCUT"] == 420


def test_a_threshold_that_contradicts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"EDIFFG is -0\.02 in .* but `fmax` is 0\.05"):
        maker(tags_of_incar={"EDIFFG": -0.02})
    with pytest.raises(ValueError, match=r"`fmax` is 0\.0"):
        maker(fmax=0.0)
    with pytest.raises(TypeError, match="`input_set_generator` is 'OC20'"):
        maker(input_set_generator="OC20")


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"IBRION": 0}, "IBRION is 0 and NSW 60 but a relaxation has IBRION 1, 2 or 3"),
        ({"NSW": 0}, "NSW 0 but"),
        ({"ISIF": 3}, "ISIF is 3 but must be at most 2"),
        ({"IMAGES": 4}, r"has IMAGES 4 \(one image of a reaction path\)"),
        ({"ML_LMLFF": True}, r"has ML_LMLFF T \(a machine-learned force field"),
        ({"IOPT": 7}, r"IOPT 7 \(VTST FIRE, which needs IBRION 3, and not 2\)"),
        ({"IBRION": 3, "POTIM": 0.0}, r"POTIM is 0\.0 under IBRION 3, so VASP would move nothing"),
    ],
)
def test_inputs_of_something_else_are_refused(
    tags: dict[str, float], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        run(maker(tags_of_incar=tags), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_fresh_start_sets_the_finished_one_aside(tmp_path: Path) -> None:
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})

    def begun(*, fresh: bool) -> int:
        ended = list(run_in_folders(maker().make(oxygen_on_copper()), store, tmp_path, fresh=fresh))
        assert not [each for _, each in ended if isinstance(each, Exception)]
        return (tmp_path / "VASP_CG" / "OUTCAR").stat().st_mtime_ns

    first = begun(fresh=False)
    assert begun(fresh=False) == first
    assert begun(fresh=True) > first
    assert (tmp_path / "VASP_CG.1" / "OUTCAR").stat().st_mtime_ns == first


@pytest.mark.slow
def test_vasp_ends_with_the_job_that_is_killed(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\nfrom tests.flows.test_vasp_cg import maker, run\n"
        "run(maker(), Path('run').absolute())\n"
    )
    environment = {**os.environ, "FAKE_VASP_FAULT": "silent@2"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=environment) as job:
        waited = time.monotonic() + 60
        while len(running_below(tmp_path)) < 3:  # the job, the guard, VASP
            assert time.monotonic() < waited
            time.sleep(0.05)
        job.kill()
    waited = time.monotonic() + 10
    while running_below(tmp_path):
        assert time.monotonic() < waited
        time.sleep(0.05)
