"""What ``finetuna-flows models`` says of the surrogates that were saved by name."""

from __future__ import annotations

import json
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from finetuna_flows.finetuning.recipe import AdaptReport, SystemErrors
from finetuna_flows.results.build import build_finetune_doc
from finetuna_flows.surrogates.library import MODEL
from finetuna_flows.surrogates.specs import SavedSpec, ToySpec
from finetuna_flows.surrogates.toy import ToySurrogate

REPORT = AdaptReport(
    systems=(SystemErrors("Cu8", 3, False, 0.4, 0.1), SystemErrors("Cu8O", 4, True, 0.3, 0.2)),
    errors=(0.3, 0.2, 0.25),
    losses=(0.1, 0.05),
)


def run(folder: Path, *words: str) -> Result:
    environment = {
        "FINETUNA_FLOWS_CONFIG_FILE": str(folder / "settings.yaml"),
        "FINETUNA_FLOWS_MODELS_PATH": str(folder / "models"),
    }
    with chdir(folder):
        return CliRunner().invoke(app, ["models", *words], env=environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One model that was adapted, one of unknown making, and one that is damaged."""
    models = tmp_path / "models"
    doc = build_finetune_doc(
        REPORT, name="test", surrogate="slabs", folder=models, spec={}, wall_time=1.0
    )
    provenance = doc.model_dump(mode="json", exclude={"folder"})
    for name, kept in (("slabs", provenance), ("own", {"error": 0.1}), ("broken", {})):
        SavedSpec(str(models / name)).write(ToySpec(), ToySurrogate(), kept)
    (models / "broken" / MODEL).write_text("{")
    return tmp_path


def test_models_are_listed_with_what_they_learned_from(folder: Path) -> None:
    done = run(folder)
    assert done.exit_code == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    for word in ("ToySpec", today, " 2 ", " 7 ", "0.300 → 0.200"):
        assert word in rows["slabs"]
    assert "ToySpec" in rows["own"]
    assert "- → -" in rows["own"]
    assert "unusable" in rows["broken"]
    assert done.stderr.startswith("broken: ")
    assert "model.json is damaged" in done.stderr


def test_models_as_json_are_a_line_each(folder: Path) -> None:
    lines = [json.loads(line) for line in run(folder, "--json").stdout.splitlines()]
    broken, own, slabs = lines
    assert [each["name"] for each in lines] == ["broken", "own", "slabs"]
    assert slabs["systems"] == ["Cu8", "Cu8O"]
    assert (slabs["n_frames"], slabs["error_before"], slabs["error_after"]) == (7, 0.3, 0.2)
    assert slabs["folder"] == str(folder / "models" / "slabs")
    assert (slabs["complaint"], own["systems"], broken["base"]) == (None, None, None)
    assert "is damaged" in broken["complaint"]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_without_models_it_says_where_it_looked_and_how_to_make_one(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    done = run(tmp_path, *words)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert f"no saved surrogate in {tmp_path / 'models'}" in done.stderr
    assert "finetuna-flows finetune" in done.stderr
    assert not (tmp_path / "models").exists()
