"""The choice of the default parent."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.parents.embedded import ENGINES, build_embedded, embedded_engines
from finetuna_flows.parents.specs import (
    Continuation,
    EmbeddedParentSpec,
    GpawParentSpec,
    TbliteParentSpec,
)

WORKING = [name for name, complaint in embedded_engines().items() if complaint is None]


def test_every_engine_works_or_says_how_to_get_it() -> None:
    for complaint in embedded_engines().values():
        assert complaint is None or "pip install" in complaint


@pytest.mark.skipif(not WORKING, reason="no embedded engine is installed")
def test_auto_takes_the_first_engine_that_works() -> None:
    chosen = EmbeddedParentSpec().build()
    assert chosen.level == ENGINES[WORKING[0]]().build().level


def test_without_engines_the_remedies_are_named() -> None:
    program = (
        "import sys\n"
        "sys.modules['gpaw'] = sys.modules['tblite'] = None  # as if not installed\n"
        "from finetuna_flows.errors import ParentError\n"
        "from finetuna_flows.parents.specs import EmbeddedParentSpec\n"
        "try:\n"
        "    EmbeddedParentSpec().build()\n"
        "except ParentError as refusal:\n"
        "    print(refusal)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert said.startswith("no embedded parent works here. gpaw: GPAW cannot be imported")
    assert "finetuna-flows[gpaw]" in said
    assert "finetuna-flows[xtb]" in said


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="`engine` is 'vasp' but must be gpaw, tblite or auto"):
        EmbeddedParentSpec("vasp")
    with pytest.raises(ValueError, match="`engine` is 'vasp' but must be gpaw, tblite or auto"):
        build_embedded("vasp", Continuation.KEPT)


@pytest.mark.parametrize(
    "spec",
    [
        EmbeddedParentSpec(engine="gpaw", continuation=Continuation.COLD),
        GpawParentSpec(cutoff=350.0, continuation=Continuation.RESTART),
        TbliteParentSpec(accuracy=0.1, continuation=Continuation.COLD),
    ],
)
def test_specs_survive_json(spec: EmbeddedParentSpec | GpawParentSpec | TbliteParentSpec) -> None:
    again = json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder)
    assert again == spec
    assert isinstance(again.continuation, Continuation)


@pytest.mark.parametrize("name", ["cutoff", "kpoint_length", "width", "vacuum", "max_iterations"])
def test_numbers_must_be_positive(name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is 0 but must be positive"):
        GpawParentSpec(**{name: 0})  # type: ignore[arg-type]  # the name decides the type


def test_an_unknown_continuation_is_refused() -> None:
    with pytest.raises(ValueError, match="'warm' is not a valid Continuation"):
        GpawParentSpec(continuation="warm")  # type: ignore[arg-type]  # that is the point


def test_tblite_refuses_to_restart() -> None:
    with pytest.raises(ValueError, match=r"`continuation` is 'restart' .* take 'kept'"):
        TbliteParentSpec(continuation=Continuation.RESTART)
