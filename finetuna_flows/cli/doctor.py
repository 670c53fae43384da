"""``finetuna-flows doctor``: what works here, where things are looked for, and what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer
from ase.config import cfg as ase_config
from jobflow.settings import DEFAULT_CONFIG_FILE_PATH
from pydantic import ValidationError
from pymatgen.core import SETTINGS as PYMATGEN
from rich.console import Console

from finetuna_flows.colocation.address import TcpAddress
from finetuna_flows.colocation.listener import Listener
from finetuna_flows.errors import FinetunaError, ParentError
from finetuna_flows.parents.embedded import embedded_engines
from finetuna_flows.parents.vasp.command import vasp_command
from finetuna_flows.protocols import Spec, Surrogate
from finetuna_flows.results.store import check_store, default_job_store
from finetuna_flows.settings import Settings, config_file
from finetuna_flows.surrogates.specs import CHGNetSpec, SevenNetSpec, cuda_devices


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    works: bool
    words: str
    """What was found, or what is missing and the remedy."""
    needed: bool = False
    """Whether nothing runs without it."""


Vasp = Annotated[
    bool,
    typer.Option(
        "--vasp", help="Also run VASP: two interactive labels of H2, at most a minute or two."
    ),
]


def doctor(vasp: Vasp = False) -> None:
    """Say what is installed, which parents and surrogates work, and where the rest is looked for.

    Exit code 1 if something is missing without which nothing runs, or VASP was to be tried out and
    does not work.
    """
    console = Console()
    findings = [*_findings(), *(_vasp_tried_out() if vasp else ())]
    for each in findings:
        mark = "[green]ok[/]     " if each.works else "[yellow]missing[/]"
        console.print(f"{mark} {each.name:<20}", end=" ")
        console.print(each.words, markup=False, highlight=False, soft_wrap=True)
    sys.exit(any(each.needed and not each.works for each in findings))


def _findings() -> Iterator[Finding]:
    try:
        settings = Settings()
    except ValidationError as error:
        yield Finding("settings", False, f"{config_file()} or the environment: {error}", True)
        return
    read = "read" if config_file().exists() else "not there, defaults are used"
    yield Finding("settings", True, f"{config_file()} ({read}) and FINETUNA_FLOWS_*")
    yield from map(_package, ("finetuna-flows", "jobflow", "atomate2", "maggma", "ase", "torch"))
    yield _surrogate("sevennet", "sevenn", SevenNetSpec(), "7net-mf-0")
    yield _surrogate("chgnet", "chgnet", CHGNetSpec(), "0.3.0")
    yield _fairchem()
    for engine, complaint in embedded_engines().items():
        yield Finding(f"parent {engine}", complaint is None, complaint or _version(engine))
    yield Finding("parent emt", True, "for tests: Al Cu Ag Au Ni Pd Pt, and roughly H C N O")
    yield _vasp()
    yield _potcars()
    yield _device(settings)
    yield _colocation(settings)
    yield _store()


def _package(name: str) -> Finding:
    found = _version(name)
    return Finding(name, bool(found), found or f"pip install {name}", needed=True)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _surrogate(name: str, package: str, spec: Spec[Surrogate], weights: str) -> Finding:
    try:
        spec.build()
    except (FinetunaError, ImportError, OSError, ValueError) as error:
        return Finding(f"surrogate {name}", False, f"{error}; pip install {package}", True)
    words = f"{_version(package)}, weights {weights} from its package"
    return Finding(f"surrogate {name}", True, words)


def _fairchem() -> Finding:
    found = _version("fairchem-core")
    token = "HF_TOKEN" in os.environ or Path("~/.cache/huggingface/token").expanduser().exists()
    access = "a token is set" if token else "no token: set HF_TOKEN to use gated models like UMA"
    words = f"{found}, checkpoints from the Hugging Face Hub ({access})"
    return Finding("fairchem-core", bool(found), words if found else "pip install fairchem-core")


def _vasp() -> Finding:
    try:
        words = " ".join(vasp_command())
    except ParentError as error:
        return Finding("VASP", False, str(error))
    return Finding("VASP", True, f"{words}; use --parent vasp (try it out: doctor --vasp)")


def _vasp_tried_out() -> Iterator[Finding]:
    from finetuna_flows.parents.vasp.check import examine

    try:
        found = examine()
    except (FinetunaError, ValueError) as error:
        yield Finding("VASP labels H2", False, str(error), True)
        return
    cycles = " and ".join(map(str, found.cycles))
    yield Finding("VASP labels H2", True, f"{cycles} SCF cycles, {found.seconds:.1f} s in all")
    yield Finding("VASP version", True, f"{found.version}, dialect: {found.dialect}")
    flushed = "flushed at each label" if found.flushes_files else "cut at blocks until VASP ends"
    words = f"standard output is flushed; OUTCAR is {flushed}"
    yield Finding("VASP output", True, words if found.flushes_files else f"{words}, which is fine")
    ranks = f"launcher: {found.launcher}; ranks on this node: {found.ranks}"
    yield Finding("VASP MPI", found.ranks > 0, ranks)
    yield Finding("VASP pause", found.pauses, found.pause)


def _potcars() -> Finding:
    place = PYMATGEN.get("PMG_VASP_PSP_DIR")
    if not place:
        words = "set PMG_VASP_PSP_DIR to pymatgen's library of POTCARs (`pmg config -p`)"
        if ase_config.get("VASP_PP_PATH"):
            words += "; VASP_PP_PATH is ASE's, which --parent vasp does not read"
        return Finding("POTCARs", False, words)
    there = Path(place).is_dir()
    words = f"PMG_VASP_PSP_DIR={place}{'' if there else ' is no folder'}"
    return Finding("POTCARs", there, words)


def _device(settings: Settings) -> Finding:
    cuda = cuda_devices()
    words = f"{settings.device}, {settings.threads} threads; CUDA: {', '.join(cuda) or 'none'}"
    return Finding("torch device", settings.device == "cpu" or bool(cuda), words)


def _colocation(settings: Settings) -> Finding:
    try:
        with Listener(settings.socket_path, settings.interface) as listener:
            hosts = [each.host for each in listener.addresses if isinstance(each, TcpAddress)]
    except (OSError, ValueError) as error:
        return Finding("sockets", False, str(error), True)
    tcp = f"TCP on {hosts[0]}" if hosts else "no TCP (set FINETUNA_FLOWS_INTERFACE)"
    where = settings.rendezvous_path.expanduser()
    words = f"UNIX in {settings.socket_path}, {tcp}; twin jobs meet in {where}"
    return Finding("sockets", True, words)


def _store() -> Finding:
    where = os.environ.get("JOBFLOW_CONFIG_FILE", DEFAULT_CONFIG_FILE_PATH)
    try:
        store = default_job_store()
        check_store(store)
        count = store.count()
    except Exception as error:  # noqa: BLE001 - whatever the user's configuration leads to
        words = f"{type(error).__name__}: {error} (configured in {where})"
        return Finding("results store", False, words, True)
    return Finding("results store", True, f"{store.name}, {count} documents (configure in {where})")
