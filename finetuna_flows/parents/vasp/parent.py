"""What the drivers of VASP have in common: command, inputs, level, and the checks of an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from ase import Atoms

from finetuna_flows.parents.specs import VaspParentSpec
from finetuna_flows.parents.vasp.command import needs_potcar, vasp_command
from finetuna_flows.parents.vasp.inputs import VaspInputs, make_inputs
from finetuna_flows.parents.vasp.run import VaspRun, next_folder
from finetuna_flows.records import Label
from finetuna_flows.settings import Settings


class VaspParent(ABC):
    """VASP as a parent; each process runs in a folder ``vasp/NNN`` that stays.

    Parameters
    ----------
    spec
        In a user's words.

    Raises
    ------
    ParentError
        If no command starts VASP.
    """

    def __init__(self, spec: VaspParentSpec) -> None:
        self._command = vasp_command()
        self._silence = Settings().vasp_silence
        self._spec = spec
        self._directory = Path.cwd()
        self._inputs: VaspInputs | None = None

    @property
    def level(self) -> str:
        """Functional, cutoff, smearing, spin, k-points and PAW data sets, once it is prepared."""
        return self._inputs.level if self._inputs else f"VASP, {self._spec.set_name}"

    @property
    def elements(self) -> frozenset[str] | None:
        """Symbols that the input set has a POTCAR for; None where it does not say."""
        config = getattr(self._spec.input_set_generator, "config_dict", {})
        return frozenset(config["POTCAR"]) if "POTCAR" in config else None

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave nothing running."""

    @abstractmethod
    def label(self, atoms: Atoms) -> Label:
        """Energy E0, free energy F and raw forces."""

    def prepare(self, atoms: Atoms) -> None:
        """Make the input files' contents for a structure, so that what is wrong shows now.

        Raises
        ------
        ParentError, ValueError
            See `inputs.make_inputs`.
        """
        self._inputs = make_inputs(
            self._spec.input_set_generator,
            atoms,
            self._spec.continuation,
            potcar=needs_potcar(self._command),
        )

    def _prepared(self, atoms: Atoms) -> VaspInputs:
        """The inputs for a structure, made anew where it is another one."""
        if self._inputs is None or not self._inputs.fits(atoms):
            self.prepare(atoms)
        if self._inputs is None:
            raise AssertionError("prepare() makes the inputs")
        return self._inputs

    def _start(self, inputs: VaspInputs, atoms: Atoms, folder: Path | None = None) -> VaspRun:
        folder = folder or next_folder(self._directory)
        inputs.write(folder, atoms)
        return VaspRun(self._command, folder, len(atoms), dict(inputs.incar), self._silence)
