"""The Makers as their users use them: jobs, flows, powerups, stores, restarts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from jobflow import Flow, Job, JobStore, Maker, Response, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder, MSONable
from pymatgen.core import Structure

from finetuna_flows.errors import CheckpointError, ElementError, StructureError
from finetuna_flows.finetuning.specs import (
    CurvatureSpec,
    EnsembleTunerSpec,
    GradientSpec,
    ResidualGPSpec,
    StackSpec,
)
from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
from finetuna_flows.flows.compare import CompareMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import CorrectableSurrogate, FineTuner, QueryCriterion, TunerSpec
from finetuna_flows.queries.combine import AnyOf
from finetuna_flows.queries.fixed import FirstN
from finetuna_flows.queries.uncertainty import DynamicTolerance, StaticTolerance
from finetuna_flows.relaxation.checkpoint import LEDGER_NAME
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.tail import Tail
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc
from finetuna_flows.results.files import CONTCAR, LABELS, RELAXED
from finetuna_flows.structures.convert import to_structure
from finetuna_flows.surrogates.specs import AseSurrogateSpec, EnsembleSpec, ToySpec
from tests.systems import EMT, MORSE, MORSE_ARGUMENTS, oxygen_on_copper

PRIOR = AseSurrogateSpec(MORSE, MORSE_ARGUMENTS)
PARENT = AseParentSpec(EMT)


def online(**fields: Any) -> OnlineRelaxMaker:
    return OnlineRelaxMaker(**{"surrogate": PRIOR, "parent": PARENT, "fmax": 0.03, **fields})


@dataclass(frozen=True)
class OwnTunerSpec(MSONable):
    """A user's own, which does not say whether it gives an uncertainty."""

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """As the Gaussian process."""
        return ResidualGPSpec().build(surrogate)


MAKERS: dict[str, Callable[[], Maker]] = {
    "online": online,
    "parent": lambda: ParentRelaxMaker(parent=PARENT),
    "warm": lambda: WarmStartMaker(surrogate=PRIOR, parent=PARENT),
}


@pytest.fixture
def store() -> JobStore:
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    store.connect()
    return store


def kept(store: JobStore, criteria: dict[str, Any], *, load: bool = False) -> dict[str, Any]:
    """The one stored document that matches."""
    (found,) = store.query(criteria, load=load)
    return dict(found)


def run(made: Job | Flow, store: JobStore, where: Path) -> Any:
    responses = run_locally(made, store=store, root_dir=where, raise_immediately=True, log=False)
    last = made if isinstance(made, Job) else list(made.jobs)[-1]
    return responses[last.uuid][1].output


@pytest.mark.parametrize("name", MAKERS)
def test_makers_are_their_json(name: str) -> None:
    maker = MAKERS[name]()
    assert json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder) == maker


@pytest.mark.parametrize("name", MAKERS)
def test_a_structure_becomes_a_document_in_the_store(
    name: str, store: JobStore, tmp_path: Path
) -> None:
    job = MAKERS[name]().make(to_structure(oxygen_on_copper()))
    doc = run(job, store, tmp_path)
    assert isinstance(doc, RelaxationDoc)
    assert doc.converged
    assert isinstance(doc.structure, Structure)
    assert doc.structure.site_properties["tags"][-1] == 2
    output = kept(store, {"uuid": job.uuid})["output"]
    assert output["formula_pretty"] == "Cu8O"
    assert output["parent_calls"] == doc.parent_calls
    assert set(output["ledger"]) >= {"blob_uuid", "store"}
    loaded = kept(store, {"uuid": job.uuid}, load=True)["output"]
    assert len(loaded["ledger"]) == doc.parent_calls
    assert len(loaded["trajectory"]["energies"]) == doc.n_steps


def test_the_folder_holds_the_endpoint_and_every_label(store: JobStore, tmp_path: Path) -> None:
    doc = run(MAKERS["online"]().make(oxygen_on_copper()), store, tmp_path)
    relaxed = ase.io.read(tmp_path / RELAXED)
    labels = ase.io.read(tmp_path / LABELS, ":")
    contcar = ase.io.read(tmp_path / CONTCAR)
    assert isinstance(relaxed, Atoms)
    assert isinstance(contcar, Atoms)
    assert len(labels) == doc.parent_calls
    assert relaxed.get_potential_energy() == pytest.approx(doc.energy, abs=1e-6)
    np.testing.assert_allclose(
        relaxed.get_forces(apply_constraint=False), np.array(doc.forces), atol=1e-6
    )
    np.testing.assert_allclose(contcar.positions, relaxed.positions, atol=1e-6)
    assert list(contcar.constraints[0].index) == [0, 1, 2, 3]
    assert relaxed.get_tags()[-1] == 2


def test_ase_atoms_are_as_good_as_a_structure(store: JobStore, tmp_path: Path) -> None:
    job = MAKERS["parent"]().make(oxygen_on_copper())
    again = json.loads(json.dumps(job, cls=MontyEncoder), cls=MontyDecoder)
    assert run(again, store, tmp_path).converged


def test_a_molecule_relaxes_too(store: JobStore, tmp_path: Path) -> None:
    atoms: Atoms = molecule("H2O")
    atoms.positions[0, 2] += 0.1
    doc = run(MAKERS["parent"]().make(atoms), store, tmp_path)
    assert doc.converged
    assert doc.formula_pretty == "H2O"


def test_powerups_reach_the_maker(store: JobStore, tmp_path: Path) -> None:
    flow = CompareMaker(
        makers=(online(name="online"), ParentRelaxMaker(name="BFGS", parent=PARENT))
    ).make(oxygen_on_copper())
    flow.update_maker_kwargs({"fmax": 0.05, "tags": ["campaign"]}, class_filter=OnlineRelaxMaker)
    flow.update_metadata({"owner": "me"})
    flow.append_name(" of Cu8O")
    *_, (_, last) = run_in_folders(flow, store, tmp_path)
    assert isinstance(last, Response)
    assert isinstance(last.output, ComparisonDoc)
    document = kept(store, {"output.method": "online"})
    assert document["output"]["fmax_threshold"] == 0.05
    assert document["output"]["tags"] == ["campaign"]
    assert document["metadata"] == {"owner": "me"}
    assert document["name"] == "online of Cu8O"


def test_limits_may_grow_and_prev_dir_resumes(store: JobStore, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    stopped = run(online(limits=Limits(max_parent_calls=2)).make(oxygen_on_copper()), store, first)
    assert not stopped.converged
    assert stopped.state == "failed"
    resumed = run(online().make(oxygen_on_copper(), prev_dir=first), store, second)
    assert resumed.converged
    assert resumed.replayed_calls == 2


def test_prev_dir_with_a_host_and_without_a_ledger(store: JobStore, tmp_path: Path) -> None:
    job = online().make(oxygen_on_copper(), prev_dir=f"node7:{tmp_path}/nowhere")
    with pytest.raises(CheckpointError, match=rf"nowhere but holds no {LEDGER_NAME}"):
        run(job, store, tmp_path)


def test_another_spec_in_the_same_directory_is_refused(store: JobStore, tmp_path: Path) -> None:
    run(online().make(oxygen_on_copper()), store, tmp_path)
    other = online(tuner=ResidualGPSpec(length=0.7))
    with pytest.raises(CheckpointError, match=r"`spec\.tuner\.length` was"):
        run(other.make(oxygen_on_copper()), store, tmp_path)


def test_refusals_come_before_any_work(store: JobStore, tmp_path: Path) -> None:
    unknown = oxygen_on_copper()
    unknown.symbols[-1] = "Zr"
    with pytest.raises(ElementError, match="lacks Zr"):
        run(online().make(unknown), store, tmp_path)
    with pytest.raises(StructureError, match="no atoms"):
        run(online().make(Atoms()), store, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"optimizer": "GPMin"}, "`optimizer` is 'GPMin' but must be one of"),
        ({"fmax": -1.0}, r"`fmax` is -1\.0 eV/Å but must be a positive number"),
    ],
)
def test_makers_refuse_what_cannot_run(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        online(**fields)


@pytest.mark.parametrize(
    "tuner",
    [GradientSpec(), CurvatureSpec(), StackSpec((GradientSpec(), CurvatureSpec()))],
)
@pytest.mark.parametrize("criterion", [StaticTolerance(), AnyOf((FirstN(1), DynamicTolerance()))])
def test_makers_refuse_to_ask_for_an_uncertainty_that_there_will_not_be(
    tuner: TunerSpec, criterion: QueryCriterion
) -> None:
    with pytest.raises(ValueError, match=f"`tuner` is a {type(tuner).__name__}, which gives none"):
        online(tuner=tuner, criterion=criterion)


@pytest.mark.parametrize(
    "fields",
    [
        {"tuner": StackSpec((GradientSpec(), ResidualGPSpec()))},
        {"tuner": EnsembleTunerSpec()},
        {"tuner": CurvatureSpec(), "surrogate": EnsembleSpec.of_heads(ToySpec())},
        {"tuner": OwnTunerSpec()},
    ],
)
def test_makers_let_through_what_may_give_an_uncertainty(fields: dict[str, Any]) -> None:
    assert online(criterion=StaticTolerance(), **fields).tuner == fields["tuner"]


def test_makers_refuse_what_is_no_spec() -> None:
    with pytest.raises(TypeError, match="`parent` is 'emt' but must be a spec"):
        online(parent="emt")
    with pytest.raises(TypeError, match=r"`name` is .* but must be a string"):
        CompareMaker([online()])  # type: ignore[arg-type]  # what is refused


def test_compare_needs_names_and_a_reference() -> None:
    with pytest.raises(ValueError, match="each needs a name of its own"):
        CompareMaker(makers=(online(), online()))
    with pytest.raises(ValueError, match="`reference` is 'CG' but must name one of"):
        CompareMaker(makers=(online(),), reference="CG")


def test_building_and_submitting_a_flow_costs_no_torch() -> None:
    script = (
        "import sys\n"
        "from finetuna_flows.flows.compare import CompareMaker\n"
        "from tests.systems import oxygen_on_copper\n"
        "from finetuna_flows.structures.convert import to_structure\n"
        "CompareMaker().make(to_structure(oxygen_on_copper())).as_dict()\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("wrong", [0.1, {"below": 0.1}])
def test_a_tail_is_a_tail(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"`tail` is .* but must be a Tail, or None"):
        OnlineRelaxMaker(tail=wrong)


def test_a_tail_begins_before_the_end() -> None:
    with pytest.raises(ValueError, match=r"below 0\.01 eV/Å but .* above `fmax`, which is 0\.03"):
        OnlineRelaxMaker(tail=Tail(below=0.01))
