"""``finetuna-flows figures`` as a user runs it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from ase.io import write
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from tests.systems import oxygen_on_copper

CHEAP = ["--surrogate", "toy", "--parent", "emt", "--fmax", "0.05"]


def run(folder: Path, *words: str) -> Result:
    environment = os.environ | {
        "FINETUNA_FLOWS_STORE_PATH": str(folder / "store"),
        "FINETUNA_FLOWS_CONFIG_FILE": str(folder / "settings.yaml"),
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
    }
    with chdir(folder):
        return CliRunner().invoke(app, words, env=environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one system, relaxed by a learner and by BFGS."""
    path = tmp_path_factory.mktemp("figures")
    write(path / "o_cu.traj", oxygen_on_copper())
    done = run(path, "compare", "o_cu.traj", *CHEAP, "--methods", "online,BFGS")
    assert done.exit_code == 0, done.stderr
    return path


def written(folder: Path, directory: str) -> list[str]:
    return sorted(path.name for path in (folder / directory).iterdir())


def test_every_figure_that_the_store_allows_is_written(folder: Path) -> None:
    done = run(folder, "figures", "all", "--format", "pdf,png,svg")
    assert done.exit_code == 0, done.stderr
    stems = {
        "accuracy",
        "systems",
        "wall-time",
        "wall-time-parts",
        "force-error",
        "detail_o_cu_online",
        "paths_o_cu",
    }
    assert written(folder, "all") == sorted(
        f"{stem}.{suffix}" for stem in stems for suffix in ("pdf", "png", "svg")
    )
    assert sorted(done.stdout.split()) == [f"all/{name}" for name in written(folder, "all")]
    assert "left out scf-cycles: no relaxation tells its SCF cycles" in done.stderr
    for name, magic in {"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?xml"}.items():
        assert (folder / "all" / f"accuracy.{name}").read_bytes().startswith(magic)


def test_only_some_figures_and_again_the_same_files(folder: Path) -> None:
    for directory in ("some", "again"):
        done = run(folder, "figures", directory, "--only", "systems", "--only", "paths")
        assert done.exit_code == 0, done.stderr
        assert written(folder, directory) == ["paths_o_cu.pdf", "systems.pdf"]
    for name in written(folder, "some"):
        assert (folder / "some" / name).read_bytes() == (folder / "again" / name).read_bytes()


def test_relaxations_that_are_named_are_drawn_in_detail(folder: Path) -> None:
    listed = run(folder, "list", "--json").stdout.splitlines()
    (uuid,) = [doc["uuid"] for doc in map(json.loads, listed) if doc["name"] == "BFGS"]
    twice = ["--relaxation", uuid[:6], "--relaxation", uuid, "--format", "pdf,PDF"]
    words = [*twice, "--only", "detail", "--only", "force-error"]
    done = run(folder, "figures", "named", *words)
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert written(folder, "named") == [f"detail_o_cu_BFGS_{uuid[:8]}.pdf"]
    assert "no ledger holds a surrogate's force errors" in done.stderr


def test_another_reference_is_the_first_method(folder: Path) -> None:
    words = ["--reference", "online", "--only", "accuracy", "--format", "svg"]
    done = run(folder, "figures", "other", *words, "--count", "frames-1")
    assert done.exit_code == 0, done.stderr
    assert "online's" in (folder / "other" / "accuracy.svg").read_text()  # a comment beside glyphs


def test_where_nothing_can_be_drawn_the_command_fails(folder: Path) -> None:
    done = run(folder, "figures", "none", "--only", "scf-cycles")
    assert done.exit_code == 3
    assert not (folder / "none").exists()


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--format", "pdf,jpg"], "--format is pdf,jpg but must be of pdf, png, svg", 2),
        (["--relaxation", "ffff-none"], "starts with 'ffff-none'", 3),
        (["--reference", "VASP"], "'VASP'", 3),
        (["--only", "pie"], "pie", 2),
    ],
)
def test_figures_refuses(folder: Path, words: list[str], said: str, code: int) -> None:
    done = run(folder, "figures", "refused", *words)
    assert done.exit_code == code
    assert said in done.stderr
    assert not (folder / "refused").exists()


def test_without_matplotlib_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run(folder, "figures", "refused")
    assert done.exit_code == 2
    assert "pip install 'finetuna-flows[report]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_empty_store_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "figures")
    assert done.exit_code == 3
    assert "no relaxation" in done.stderr
