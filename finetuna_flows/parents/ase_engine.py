"""Any ASE calculator as the parent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from finetuna_flows.calculators import content_key, known_elements, load_calculator
from finetuna_flows.errors import ParentError
from finetuna_flows.records import Label


class AseParent:
    """An ASE calculator, asked as it is.

    What it keeps from one label to the next is its own affair. On exit it is closed, if it can
    be; otherwise the parent may be entered again.

    Parameters
    ----------
    calculator
        Must know energies and forces.
    level
        Level of theory in words.
    """

    def __init__(self, calculator: BaseCalculator, level: str) -> None:
        self._calculator = calculator
        self._level = level
        self._previous: Atoms | None = None
        self._closed = False

    @classmethod
    def from_target(cls, target: str, arguments: Mapping[str, object]) -> AseParent:
        """Call what `target` names with `arguments`; both become the words for the level.

        Raises
        ------
        ValueError, TypeError
            If that does not make an ASE calculator.
        """
        calculator = load_calculator(target, arguments)
        return cls(calculator, _words(calculator, target, arguments))

    @property
    def level(self) -> str:
        """Class of the calculator, its arguments, and the content of the file it comes from."""
        return self._level

    @property
    def elements(self) -> frozenset[str] | None:
        """Symbols that the calculator states; None where it does not."""
        return known_elements(self._calculator)

    def __enter__(self) -> Self:
        self._refuse_if_closed()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        close = getattr(self._calculator, "close", None)
        if callable(close):
            close()
            self._closed = True

    def label(self, atoms: Atoms) -> Label:
        """Energy (extrapolated to zero smearing, as ASE has it) and raw forces.

        Raises
        ------
        ParentError
            If the calculator fails, with its words; retryable if the operating system failed
            it.
        """
        self._refuse_if_closed()
        copy: Atoms = atoms.copy()
        copy.set_constraint()
        known, self._previous = self._previous == copy, None
        label = measure(self._calculator, copy, self._level, known=known)
        self._previous = copy
        return label

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ParentError(f"{self._level} is closed; build the parent anew")


def measure(calculator: BaseCalculator, atoms: Atoms, level: str, *, known: bool) -> Label:
    """Ask an ASE calculator for everything that makes a label.

    Parameters
    ----------
    calculator
        Its results may stem from another geometry.
    atoms
        Without constraints; the calculator is attached to them.
    level
        For the message if it fails.
    known
        Whether these atoms are the ones it answered for last, so that its count of SCF cycles
        belongs to the past and this label costs none.

    Raises
    ------
    ParentError
        If the calculator fails or returns no usable numbers.
    """
    started = time.perf_counter()
    atoms.calc = calculator
    try:
        energy = np.asarray(atoms.get_potential_energy(), dtype=np.float64).item()
        forces = np.array(atoms.get_forces(apply_constraint=False), dtype=np.float64)
        free_energy = getattr(calculator, "results", {}).get("free_energy")
        cycles = _scf_cycles(calculator)
    except Exception as exc:  # the exceptions of the engines share no class (GPAW's are bare)
        raise failure(level, exc) from exc
    finally:
        atoms.calc = None
    if forces.shape != (len(atoms), 3):
        raise ParentError(
            f"{level} returned forces of shape {forces.shape} but must return ({len(atoms)}, 3)"
        )
    return Label(
        energy=energy,
        forces=forces,
        free_energy=None if free_energy is None else float(free_energy),
        scf_cycles=0 if known and cycles is not None else cycles,
        wall_time=time.perf_counter() - started,
    )


def failure(level: str, exc: Exception) -> ParentError:
    """Say in the engine's own words why there is no label."""
    words = " ".join(str(exc).split())
    reason = f"{type(exc).__name__}: {words}" if words else type(exc).__name__
    machine = isinstance(exc, OSError) and not isinstance(exc, FileNotFoundError)
    return ParentError(f"{level} failed: {reason}", retryable=machine)


def _scf_cycles(calculator: BaseCalculator) -> int | None:
    count = getattr(calculator, "get_number_of_iterations", None)
    cycles = count() if callable(count) else None
    return None if cycles is None else int(cycles)


def _words(calculator: BaseCalculator, target: str, arguments: Mapping[str, object]) -> str:
    name = type(calculator).__name__
    factory = target.rpartition(":")[2]
    made = "" if factory == name else f" from {factory}"
    given = ", ".join(f"{key}={arguments[key]!r}" for key in sorted(arguments))
    key = content_key(target)
    return f"{name}{made}({given})" + (f", file {key}" if key else "")
