"""What the drivers of VASP have in common: command, inputs, level, and the checks of an answer."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from ase import Atoms
from pymatgen.io.vasp import Incar

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.specs import VaspParentSpec
from finetuna_flows.parents.vasp.command import is_stand_in, vasp_command
from finetuna_flows.parents.vasp.inputs import VaspInputs, make_inputs
from finetuna_flows.parents.vasp.run import VaspRun, next_folder
from finetuna_flows.records import Label
from finetuna_flows.settings import Settings

logger = logging.getLogger(__name__)


class VaspParent(ABC):
    """VASP as a parent; each process runs in a folder ``vasp/NNNN`` that stays.

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

    @property
    def settings(self) -> str:
        """INCAR of a label; empty before the parent is prepared."""
        return str(Incar(dict(self._inputs.incar))) if self._inputs else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 - a process for each label leaves nothing to end
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing runs between labels, unless a driver says otherwise."""

    def label(self, atoms: Atoms) -> Label:
        """Energy E0, free energy F and raw forces; VASP's files stay in ``vasp/NNNN``.

        Raises
        ------
        ParentError
            If VASP fails, is not self-consistent, or its answer is nonsense, is cut off or
            contradicts its files; if the disk is full or may not be written to. Retryable where
            VASP ended without a complaint of its own.
        """
        try:
            return self._label(atoms)
        except OSError as exc:
            raise ParentError(f"no label by VASP in {self._directory}: {exc}") from exc

    @abstractmethod
    def _label(self, atoms: Atoms) -> Label: ...

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
            stand_in=is_stand_in(self._command),
        )
        if atoms.get_initial_magnetic_moments().any() and self._inputs.incar.get("ISPIN", 1) == 1:
            logger.warning(
                "%s has magnetic moments, but ISPIN is 1, so that they are left out; say "
                '{"ISPIN": 2} in `user_incar_settings` to have them',
                atoms.symbols,
            )

    def _prepared(self, atoms: Atoms) -> VaspInputs:
        """The inputs for a structure, made anew where it is another one."""
        known = self._inputs
        if known is None or not (known.fits(atoms) and known.has_moments_of(atoms)):
            self.prepare(atoms)
        if self._inputs is None:
            raise AssertionError("prepare() makes the inputs")
        return self._inputs

    def _start(self, inputs: VaspInputs, atoms: Atoms, folder: Path | None = None) -> VaspRun:
        folder = folder or next_folder(self._directory)
        inputs.write(folder, atoms)
        return VaspRun(self._command, folder, len(atoms), dict(inputs.incar), self._silence)
