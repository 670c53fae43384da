"""One process of VASP for all labels (M3): positions in, energy and forces out, paused between."""

from __future__ import annotations

import logging
import time
from types import TracebackType

from ase import Atoms

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.specs import VaspParentSpec
from finetuna_flows.parents.vasp.parent import VaspParent
from finetuna_flows.parents.vasp.session import VaspSession
from finetuna_flows.parents.vasp.stream import IonicStep
from finetuna_flows.records import Label
from finetuna_flows.settings import Settings

logger = logging.getLogger(__name__)

RESTARTS = 1
"""How often a process that has crashed is started again, from one entry to the exit."""
SAME_ENERGY = 0.01
"""eV; how far a process that was started again may be off the label that it begins with. A guess:
a hundred times EDIFF's default, and less than another magnetic state usually makes."""


class InteractiveVasp(VaspParent):
    """VASP kept alive; wave functions and density stay in its memory.

    While it rests its ranks are stopped, so that they leave the processors to the surrogate. A
    process that crashes is started again, once, from the last labelled geometry.
    """

    def __init__(self, spec: VaspParentSpec) -> None:
        super().__init__(spec)
        self._pause = Settings().vasp_pause
        self._session: VaspSession | None = None
        self._last: tuple[Atoms, float] | None = None
        self._restarts = 0
        self._paused = 0.0

    @property
    def paused_time(self) -> float:
        """Seconds that the ranks have been stopped so far."""
        return self._paused + (self._session.paused_time if self._session else 0.0)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let VASP end by itself; kill it where something went wrong.

        Raises
        ------
        ParentError
            If its files contradict what it has answered.
        """
        session = self._session
        self._last, self._restarts = None, 0
        if session is None:
            return
        try:
            if kind is not None:
                session.kill()
            else:
                session.close()
        finally:
            self._forget()
        logger.info("VASP in %s was paused for %.1f s", session.folder, session.paused_time)

    def rest(self) -> None:
        """Stop the ranks until the next label; settings may say that they run on.

        Raises
        ------
        ParentError
            If they do not stop, and settings say that they must.
        """
        if self._session is None:
            return
        try:
            self._session.pause()
        except ParentError:
            self._forget()
            raise

    def _label(self, atoms: Atoms) -> Label:
        started = time.perf_counter()
        session = self._session
        if session is not None and not session.inputs.fits(atoms):
            raise ParentError(
                f"{atoms.symbols} has other atoms, another order or another cell than "
                f"{session.inputs.structure.symbols}, with which this VASP was started; give it a "
                "parent of its own, or take continuation 'cold' or 'restart'"
            )
        if session is not None and session.is_used_up:
            session.close()
            self._forget()
        restarts, wasted = 0, 0
        try:
            step, session = self._ask(atoms)
        except ParentError as crash:
            if not crash.retryable or self._restarts >= RESTARTS:
                raise
            logger.warning("%s; it is started again", crash)
            self._restarts += 1
            restarts, wasted = 1, self._repeat_last()
            step, session = self._ask(atoms)
        if step.forces is None:
            raise AssertionError("the session refuses answers without forces")
        self._last = (atoms.copy(), step.energy)
        return Label(
            energy=step.energy,
            forces=session.inputs.to_atoms(step.forces),
            free_energy=step.free_energy,
            scf_cycles=wasted + step.cycles,
            wall_time=time.perf_counter() - started,
            restarts=restarts,
        )

    def _ask(self, atoms: Atoms) -> tuple[IonicStep, VaspSession]:
        """Send VASP to a geometry, or start it there; one that fails is not asked again."""
        session = self._session
        try:
            if session is not None:
                return session.next(atoms), session
            inputs = self._prepared(atoms)
            session = VaspSession(self._start(inputs, atoms), inputs, self._pause)
            self._session = session
            return session.first(atoms), session
        except BaseException:
            self._forget()
            raise

    def _repeat_last(self) -> int:
        """Begin again at the last labelled geometry, if there is one; the SCF cycles it took.

        Raises
        ------
        ParentError
            If the energy there is another one than before.
        """
        if self._last is None:
            return 0
        atoms, energy = self._last
        step, session = self._ask(atoms)
        if abs(step.energy - energy) > SAME_ENERGY:
            session.kill()
            self._forget()
            raise ParentError(
                f"VASP in {session.folder}, started again, gives {step.energy:.4f} eV where it "
                f"gave {energy:.4f} eV before it crashed: another electronic state, so its labels "
                "do not belong together; take continuation 'cold', or set MAGMOM"
            )
        return step.cycles

    def _forget(self) -> None:
        if self._session is not None:
            self._paused += self._session.paused_time
        self._session = None
