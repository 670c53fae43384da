"""One process of VASP, from its folder to its answers: what both drivers do with it."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.vasp.stream import IonicStep, Stream
from finetuna_flows.processes.ending import ending
from finetuna_flows.processes.program import Program
from finetuna_flows.processes.ranks import VARIABLE, Ranks

logger = logging.getLogger(__name__)

OUTPUT = "vasp.out"
"""Standard output, beside VASP's own files."""
ERRORS = "std_err.txt"
"""Standard error; custodian's name for it."""
FOLDERS = "vasp"
"""Holds a folder for each process of VASP, in the order of their starts."""
EDIFF, NELM = 1e-4, 60
"""VASP's defaults: eV, electronic iterations."""
SHOWN = 6
"""Lines of output in a message."""
END_PATIENCE = 30.0
"""Seconds between the last word of VASP and its end."""


def next_folder(directory: Path) -> Path:
    """Make the folder of the next process."""
    number = 1 + max((int(each.name) for each in folders(directory)), default=-1)
    folder = directory / FOLDERS / f"{number:04d}"
    folder.mkdir(parents=True)
    return folder


def folders(directory: Path) -> list[Path]:
    """The folders of the processes so far, oldest first."""
    found = [each for each in (directory / FOLDERS).glob("*") if each.name.isdecimal()]
    return sorted(found, key=lambda each: int(each.name))


class VaspRun:
    """A process of VASP in a folder that holds its input files.

    Parameters
    ----------
    command
        Words that start it.
    folder
        Where it runs; standard output is kept there too.
    atoms
        How many there are.
    incar
        Its tags; NELM and EDIFF tell whether an answer is converged.
    silence
        Seconds without a line after which it counts as hung.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        atoms: int,
        incar: dict[str, object],
        silence: float,
    ) -> None:
        self.folder = folder
        self.stream = Stream(atoms)
        variables = Ranks.new_marker()
        self.program = Program(command, folder, output=OUTPUT, errors=ERRORS, environment=variables)
        self.ranks = Ranks(self.program, variables[VARIABLE])
        self._incar = incar
        self._silence = silence

    def steps(self) -> Iterator[IonicStep]:
        """Hand out ionic steps until VASP ends.

        Raises
        ------
        ParentError
            If it is silent for too long, or prints nonsense.
        """
        while (line := self._line()) is not None:
            if step := self.stream.feed(line):
                yield step

    def answer(self) -> IonicStep | None:
        """The ionic step before the next prompt for positions; None where VASP has ended.

        Raises
        ------
        ParentError
            If it is silent for too long, prints nonsense, or asks twice without an answer.
        """
        step: IonicStep | None = None
        while (line := self._line()) is not None:
            step = self.stream.feed(line) or step
            if self.stream.wants_positions(line):
                if step is None:
                    raise self.failure("asks for positions without an answer to the last ones")
                return step
        return None

    def send(self, rows: str) -> None:
        """Give it the next positions.

        Raises
        ------
        ParentError
            If it does not take them.
        """
        try:
            self.program.write(rows, self._silence)
        except TimeoutError as exc:
            raise self.failure(str(exc), retryable=True) from exc

    def check_converged(self, step: IonicStep) -> None:
        """Refuse a step that was broken off, or whose electrons had not settled by NELM.

        Raises
        ------
        ParentError
            Saying how far they were.
        """
        if step.stopping:
            raise self.failure("was told to break off by a STOPCAR that is not ours")
        most = int(str(self._incar.get("NELM", NELM)))
        tolerance = float(str(self._incar.get("EDIFF", EDIFF)))
        if step.cycles >= most and not max(step.residuals) < tolerance:
            change = max(step.residuals)
            far = f"{change:.1e} eV" if math.isfinite(change) else "unknown"
            raise self.failure(
                f"was not self-consistent after NELM = {most} iterations (last change {far}, EDIFF "
                f"{tolerance:g} eV); raise NELM, or choose another ALGO or mixing"
            )

    def ended(self) -> ParentError:
        """Why VASP is gone although it should not be."""
        code = self.program.wait(END_PATIENCE)
        how = "closed its output" if code is None else ending(code, "ended by itself")
        return self.failure(how, retryable=self._fatal_words() is None)

    def failure(self, what: str, *, retryable: bool = False) -> ParentError:
        """An error that shows VASP's last words."""
        fatal = self._fatal_words()
        shown = list(self.stream.last_lines)[-SHOWN:]
        own = f" ({fatal!r})" if fatal and not any(fatal in line for line in shown) else ""
        words = " | ".join(line.strip() for line in [*shown, *self._errors()[-SHOWN:]])
        return ParentError(
            f"VASP in {self.folder} {what}{own}; its last words: {words or 'none'}",
            retryable=retryable,
        )

    @contextmanager
    def alive(self) -> Iterator[None]:
        """End the process if anything goes wrong inside."""
        try:
            yield
        except BaseException:
            self.program.stop()
            raise

    def _line(self) -> str | None:
        try:
            return self.program.read_line(self._silence)
        except TimeoutError as exc:
            raise self.failure(
                f"gave {exc} (FINETUNA_FLOWS_VASP_SILENCE); it hangs, or its output is not flushed",
                retryable=True,
            ) from exc

    def _errors(self) -> list[str]:
        text = (self.folder / ERRORS).read_text(errors="replace")
        return [line for line in text.splitlines() if line.strip()]

    def _fatal_words(self) -> str | None:
        """VASP's own complaint, if it is one that custodian knows."""
        from custodian.vasp.handlers import VaspErrorHandler

        said = "\n".join([*self.stream.last_lines, *self._errors()])
        messages = (each for group in VaspErrorHandler.error_msgs.values() for each in group)
        return next((each for each in messages if each in said), None)
