"""The structures of a command line: read, prepared and checked before any work starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from finetuna_flows.errors import ElementError
from finetuna_flows.flows.baselines import ParentRelaxMaker
from finetuna_flows.flows.compare import RelaxMaker
from finetuna_flows.flows.job import check_known
from finetuna_flows.structures.prepare import fix_bottom_layers, rattle
from finetuna_flows.structures.read import parse_source, read_structure
from finetuna_flows.structures.validate import check_structure


@dataclass(frozen=True)
class Input:
    """One structure and the name of its folder."""

    name: str
    atoms: Atoms


def read_inputs(
    sources: Sequence[str], *, fix_layers: int | None, stdev: float | None, seed: int
) -> list[Input]:
    """Read, prepare and check all structures; the first that is refused ends it.

    Raises
    ------
    StructureError
        Naming the source.
    """
    inputs = []
    for source in sources:
        path, index = parse_source(source)
        atoms = read_structure(path, index)
        if fix_layers is not None:
            atoms = fix_bottom_layers(atoms, fix_layers)
        if stdev is not None:
            atoms = rattle(atoms, stdev, seed)
        check_structure(atoms)
        stem = Path(path).name.split(".")[0] + (f"-{index}" if index is not None else "")
        inputs.append(Input(re.sub(r"[^\w.-]", "_", stem), atoms))
    names = [each.name for each in inputs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"several structures are called {name!r} but each needs a folder of its own; "
                "rename the files or use --directory"
            )
    return inputs


def check_all_known(inputs: Sequence[Input], makers: Sequence[RelaxMaker]) -> None:
    """Refuse the first structure with an element that a surrogate or a parent does not know.

    Raises
    ------
    ElementError
        Naming the structure and what is known.
    """
    for maker in makers:
        surrogate = None if isinstance(maker, ParentRelaxMaker) else maker.surrogate.build()
        parent = maker.parent.build()
        for each in inputs:
            try:
                check_known(each.atoms, surrogate, parent)
            except ElementError as error:
                raise ElementError(f"{each.name}: {error}") from error
