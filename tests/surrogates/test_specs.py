"""What surrogates' specs refuse, and how they tell one file from another."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from finetuna_flows.errors import SurrogateError
from finetuna_flows.surrogates.library import MODEL, SCHEMA
from finetuna_flows.surrogates.specs import (
    AseSurrogateSpec,
    EnsembleSpec,
    FairchemSpec,
    PerturbedHeadSpec,
    SavedSpec,
    ToySpec,
)

RECORD: dict[str, Any] = {
    "schema": SCHEMA,
    "base": ToySpec().as_dict(),
    "base_sha256": None,
    "weights_sha256": "abc",
    "provenance": {},
}


@pytest.mark.parametrize("value", [4.0, "4", True])
@pytest.mark.parametrize(
    ("make", "field"),
    [
        (ToySpec, "seed"),
        (partial(PerturbedHeadSpec, ToySpec()), "seed"),
        (partial(EnsembleSpec.of_heads, ToySpec()), "count"),
        (partial(FairchemSpec, "uma", "omol"), "charge"),
        (partial(FairchemSpec, "uma", "omol"), "spin"),
    ],
)
def test_what_counts_must_be_an_integer(
    make: Callable[..., object], field: str, value: object
) -> None:
    with pytest.raises(TypeError, match=rf"`{field}` is {value!r} but must be an integer"):
        make(**{field: value})


def test_a_checkpoint_files_fingerprint_is_its_digest(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(b"weights")
    assert FairchemSpec(str(file), "oc20").fingerprint() == sha256(b"weights").hexdigest()
    assert FairchemSpec("uma-s-1p2p1", "oc20").fingerprint() is None


def test_a_saved_surrogates_fingerprint_covers_what_its_weights_go_into(
    tmp_path: Path,
) -> None:
    spec = SavedSpec(str(tmp_path / "slabs"))
    with pytest.raises(SurrogateError, match="holds no"):
        spec.fingerprint()
    spec.folder.mkdir()
    (spec.folder / MODEL).write_text(json.dumps(RECORD))
    prints = {spec.fingerprint()}
    for key, other in {"weights_sha256": "def", "base_sha256": "0"}.items():
        (spec.folder / MODEL).write_text(json.dumps(RECORD | {key: other}))
        prints.add(spec.fingerprint())
    (spec.folder / MODEL).write_text(json.dumps(RECORD | {"base": RECORD["base"] | {"cutoff": 4}}))
    assert len(prints | {spec.fingerprint()}) == 4


def test_a_calculators_file_has_a_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "engine.py"
    file.write_text("a = 1\n")
    before = AseSurrogateSpec(f"{file}:Engine").fingerprint()
    assert before
    assert sha256(b"a = 1\n").hexdigest().startswith(before)
    file.write_text("a = 2\n")
    assert AseSurrogateSpec(f"{file}:Engine").fingerprint() != before
    assert AseSurrogateSpec("ase.calculators.emt:EMT").fingerprint() is None


def test_fingerprints_cost_no_torch(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    (tmp_path / MODEL).write_text(json.dumps(RECORD))
    script = (
        "import sys\n"
        "from finetuna_flows.flows.identity import fingerprints\n"
        "from finetuna_flows.surrogates.specs import EnsembleSpec, FairchemSpec, SavedSpec\n"
        f"members = FairchemSpec({str(tmp_path / 'model.pt')!r}, 'oc20'), "
        f"SavedSpec({str(tmp_path)!r})\n"
        "assert len(fingerprints(EnsembleSpec(members))) == 2\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
