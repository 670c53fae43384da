"""What a run directory is bound to: labels of one engine never end up in a run of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore

from finetuna_flows.errors import CheckpointError
from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import Spec, Surrogate
from finetuna_flows.relaxation.checkpoint import LEDGER_NAME
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.surrogates.specs import (
    AseSurrogateSpec,
    EnsembleSpec,
    PerturbedHeadSpec,
    SavedSpec,
    ToySpec,
)
from finetuna_flows.surrogates.toy import ToySurrogate
from tests.systems import EMT, oxygen_on_copper

ENGINE = """
from ase.calculators.emt import EMT

class Named(EMT):
    def __init__(self, name="a", **arguments):
        super().__init__(**arguments)
"""


def relaxed(where: Path, maker: ParentRelaxMaker | WarmStartMaker, **words: Any) -> RelaxationDoc:
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    job = maker.make(words.pop("structure", oxygen_on_copper()), **words)
    responses = run_locally(job, store=store, root_dir=where, raise_immediately=True, log=False)
    doc = responses[job.uuid][1].output
    assert isinstance(doc, RelaxationDoc)
    return doc


def maker(engine: Path, calls: int | None = None, **arguments: object) -> ParentRelaxMaker:
    parent = AseParentSpec(f"{engine}:Named", arguments)
    return ParentRelaxMaker(parent=parent, limits=Limits(max_parent_calls=calls))


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    file = tmp_path / "engine.py"
    file.write_text(ENGINE)
    return file


def test_an_argument_called_name_counts(engine: Path, tmp_path: Path) -> None:
    relaxed(tmp_path / "run", maker(engine, 2, name="a"))
    with pytest.raises(CheckpointError, match=r"`level` was .*`spec\.parent\.arguments\.name` was"):
        relaxed(tmp_path / "run", maker(engine, 3, name="b"))


def test_another_content_of_the_engines_file_counts(engine: Path, tmp_path: Path) -> None:
    relaxed(tmp_path / "run", maker(engine, 2))
    engine.write_text(ENGINE + "\n# a change\n")
    with pytest.raises(CheckpointError, match="`level` was"):
        relaxed(tmp_path / "run", maker(engine, 3))


def warm(surrogate: Spec[Surrogate], calls: int) -> WarmStartMaker:
    limits = Limits(max_parent_calls=calls)
    parent = AseParentSpec(EMT)
    return WarmStartMaker(surrogate=surrogate, parent=parent, limits=limits, max_surrogate_steps=1)


def test_another_content_of_a_surrogates_file_counts(engine: Path, tmp_path: Path) -> None:
    surrogate = AseSurrogateSpec(f"{engine}:Named")
    relaxed(tmp_path / "run", warm(surrogate, 2))
    assert relaxed(tmp_path / "run", warm(surrogate, 3)).replayed_calls == 2
    engine.write_text(ENGINE + "\n# a change\n")
    with pytest.raises(CheckpointError, match=r"`fingerprints\.surrogate` was"):
        relaxed(tmp_path / "run", warm(surrogate, 4))


def test_other_weights_of_a_saved_surrogate_count(tmp_path: Path) -> None:
    saved = SavedSpec(str(tmp_path / "toy"))
    ensemble = EnsembleSpec((ToySpec(), PerturbedHeadSpec(saved)))
    for seed in (0, 1):
        saved.write(ToySpec(), ToySurrogate(seed=seed), {}, overwrite=True)
        if seed == 0:
            relaxed(tmp_path / "run", warm(ensemble, 2))
    with pytest.raises(CheckpointError, match=r"`fingerprints\.surrogate/members/1/surrogate` was"):
        relaxed(tmp_path / "run", warm(ensemble, 3))


def test_runs_without_files_are_identified_as_before(tmp_path: Path) -> None:
    relaxed(tmp_path / "run", warm(ToySpec(), 2))
    first = (tmp_path / "run" / LEDGER_NAME).read_text().splitlines()[0]
    assert json.loads(first)["body"]["identity"].keys() == {"level", "spec", "structure"}


def test_names_tags_and_limits_do_not_count(engine: Path, tmp_path: Path) -> None:
    relaxed(tmp_path / "run", maker(engine, 2))
    other = maker(engine)
    other.name, other.tags = "another name", ("tagged",)
    doc = relaxed(tmp_path / "run", other)
    assert doc.converged
    assert doc.replayed_calls == 2


def test_the_documents_own_structure_and_directory_resume_it(engine: Path, tmp_path: Path) -> None:
    stopped = relaxed(tmp_path / "run", maker(engine, 3))
    resumed = relaxed(
        tmp_path / "again",
        maker(engine),
        structure=stopped.initial_structure,
        prev_dir=stopped.dir_name,
    )
    assert resumed.converged
    assert resumed.replayed_calls == 3
