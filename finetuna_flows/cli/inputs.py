"""The structures of a command line: read, prepared and checked before any work starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from finetuna_flows.colocation.specs import TwinParentSpec
from finetuna_flows.errors import ElementError, ParentError, SurrogateError
from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
from finetuna_flows.flows.compare import AnyRelaxMaker
from finetuna_flows.flows.imported import ImportedRelaxMaker
from finetuna_flows.flows.job import check_known
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.flows.vasp_cg import VaspCgMaker
from finetuna_flows.geometry import free_components
from finetuna_flows.protocols import PreparingParent, Spec, Surrogate
from finetuna_flows.structures.inferred import unusual_normal
from finetuna_flows.structures.names import name_of
from finetuna_flows.structures.prepare import Preparation
from finetuna_flows.structures.read import parse_source, read_structure
from finetuna_flows.structures.tags import find_adsorbate
from finetuna_flows.structures.validate import check_structure
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.library import read_model
from finetuna_flows.surrogates.specs import EnsembleSpec, PerturbedHeadSpec, SavedSpec

NOT_WATCHED = "no adsorbate tagged, so none is watched (--adsorbate)"


@dataclass(frozen=True)
class Input:
    """One structure and the name of its folder."""

    name: str
    atoms: Atoms

    def __str__(self) -> str:
        """What is to be relaxed, in one line."""
        fixed = int((~free_components(self.atoms)).all(axis=1).sum())
        what = f"{self.name}: {self.atoms.symbols}, {fixed} of {len(self.atoms)} atoms fixed"
        return ", ".join(filter(None, (what, self._watched(), unusual_normal(self.atoms))))

    def _watched(self) -> str:
        found = find_adsorbate(self.atoms)
        if found.doubted or found.indices:
            said = found.sentence(self.atoms)
            return said if found.indices else f"{said}; name its atoms (--adsorbate)"
        return NOT_WATCHED


def preparation(adsorbate: str | None, fix_layers: int, stdev: float, seed: int) -> Preparation:
    """What the options say is to be done with every structure.

    Raises
    ------
    ValueError
        If the indices of the adsorbate are not of the form.
    """
    return Preparation(
        adsorbate=None if adsorbate is None else _indices(adsorbate),
        fixed_layers=fix_layers,
        rattle=stdev,
        seed=seed,
    )


def _indices(words: str) -> tuple[int, ...]:
    indices: list[int] = []
    for part in words.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if match is None:
            raise ValueError(f"--adsorbate is {words!r} but must be like 36,37 or 36-39")
        first, last = int(match[1]), int(match[2] or match[1])
        indices += range(first, last + 1)
    return tuple(indices)


def sources(structures: Sequence[str] | None, vasp_inputs: Path | None) -> Sequence[str]:
    """Where the structures are: what was named, or POSCAR of the folder with VASP's inputs.

    Raises
    ------
    ValueError
        If both were named, or neither.
    """
    if vasp_inputs is None:
        if not structures:
            raise ValueError("no structure is named; name a file, or a folder with --vasp-inputs")
        return structures
    if structures:
        raise ValueError(
            f"{', '.join(structures)} is named beside --vasp-inputs {vasp_inputs}, whose settings "
            "are those of its own POSCAR; leave one of them out"
        )
    return [str(vasp_inputs / "POSCAR")]


def read_inputs(sources: Sequence[str], prepare: Preparation) -> list[Input]:
    """Read, prepare and check all structures; the first that is refused ends it.

    Raises
    ------
    StructureError
        Naming the source.
    """
    inputs = []
    for source in sources:
        path, index = parse_source(source)
        atoms = prepare.apply(read_structure(path, index))
        check_structure(atoms)
        called = name_of(path) + (f"-{index}" if index is not None else "")
        name = re.sub(r"[^\w.-]", "_", called)
        atoms.info.setdefault("system", name)
        inputs.append(Input(name, atoms))
    names = [each.name for each in inputs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"several structures are called {name!r} but each needs a folder of its own; "
                "rename the files or use --directory"
            )
    return inputs


def check_there(surrogate: Spec[Surrogate]) -> None:
    """Refuse a surrogate whose files are not there; nothing is built for that.

    Raises
    ------
    ValueError
        Naming what is missing.
    """
    if isinstance(surrogate, EnsembleSpec):
        for member in surrogate.members:
            check_there(member)
    elif isinstance(surrogate, PerturbedHeadSpec):
        check_there(surrogate.surrogate)
    elif isinstance(surrogate, SavedSpec):
        try:
            read_model(surrogate.folder)
        except SurrogateError as exc:
            raise ValueError(f"--surrogate: {exc}") from exc
    else:
        checkpoint = Path(getattr(surrogate, "model", ""))  # a name where it is relative
        if checkpoint.is_absolute() and not checkpoint.is_file():
            raise ValueError(f"--surrogate names {checkpoint}, which is not a file; mend the path")


def settings_of_parents(inputs: Sequence[Input], makers: Sequence[AnyRelaxMaker]) -> Iterator[str]:
    """Say what parents work out for the structures; nothing is started.

    Raises
    ------
    ValueError
        If a structure cannot be labelled with its parent's settings.
    """
    for maker in makers:
        if isinstance(maker, VaspCgMaker | ImportedRelaxMaker):
            continue
        try:
            parent = maker.parent.build()
            if not isinstance(parent, PreparingParent):
                continue
            for each in inputs:
                parent.prepare(each.atoms)
                yield f"{each.name}, {maker.name}: {parent.level}\n{parent.settings.strip()}"
        except ParentError as exc:
            yield f"{maker.name}: {exc}"


def refuse_shared_twin(inputs: Sequence[Input], makers: Sequence[AnyRelaxMaker]) -> None:
    """Refuse to have one twin serve several relaxations: it ends with the first.

    Raises
    ------
    ValueError
        Saying how many there are.
    """
    met = [each for each in makers if isinstance(getattr(each, "parent", None), TwinParentSpec)]
    if met and len(inputs) * len(makers) > 1:
        raise ValueError(
            f"--parent twin:NAME serves one relaxation but there are {len(inputs) * len(makers)}; "
            "name one structure and one method, and give each its own NAME"
        )


def check_all_known(inputs: Sequence[Input], makers: Sequence[AnyRelaxMaker]) -> None:
    """Build all parts once, and refuse what does not fit before any of them works.

    What is not there is refused before anything is built.

    Raises
    ------
    ElementError
        Naming the structure and what the surrogate and the parent know.
    ValueError
        If a surrogate is not there, or cannot learn in the way that was asked for; if a relaxation
        that is to be imported started elsewhere.
    """
    refuse_shared_twin(inputs, makers)
    for maker in makers:
        if isinstance(maker, OnlineRelaxMaker | WarmStartMaker):
            check_there(maker.surrogate)
        if isinstance(maker, ImportedRelaxMaker):
            for each in inputs:
                maker.read(each.atoms)
    for maker in makers:
        if isinstance(maker, VaspCgMaker):
            for each in inputs:
                maker.check(each.atoms)
        if isinstance(maker, VaspCgMaker | ImportedRelaxMaker):
            continue
        surrogate = None
        if not isinstance(maker, ParentRelaxMaker):
            surrogate = CompositeSurrogate(maker.surrogate.build())
        if isinstance(maker, OnlineRelaxMaker) and surrogate is not None:
            maker.tuner.build(surrogate)
        parent = maker.parent.build()
        for each in inputs:
            try:
                check_known(each.atoms, surrogate, parent)
            except ElementError as error:
                raise ElementError(f"{each.name}: {error}") from error
