"""Faults drawn by chance, and the run of one schedule of them."""

from __future__ import annotations

import json
import random
import shutil
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.address import parse_address
from tests.colocation.halves import Halves
from tests.colocation.moments import BEFORE, CLOSING, LABELLING, MOMENTS, TUNING, WAITING
from tests.colocation.nurseries import DONE_WITHIN, Nursery
from tests.fakes import colocated_relaxation as relaxation
from tests.fakes.colocated_parts import phases

KILL, TERM, PAUSE = "SIGKILL", "SIGTERM", "SIGSTOP"
STALE, INTRUDER, SCANNER = "stale invitation", "wrong token", "port scanner"
KINDS = (KILL, TERM, PAUSE, STALE, INTRUDER, SCANNER)
VICTIMS = ("learner", "parent", "child", "everything")
NOTICED = 4.0
"""Seconds after which a half that still runs has not noticed that its twin is gone."""
LONGEST_DELAY = 1.5
PAUSES = 0.25, 0.75
"""Seconds, the shortest and the longest; a guard looks about five times a second."""
TRIES = 12
STRANGER_PATIENCE = 20.0


@dataclass(frozen=True)
class Fault:
    """One disturbance."""

    kind: str
    victim: str
    moment: str | None
    """None: after a while, whatever happens then."""
    number: float
    """From 0 to 1; of the label or update, or of the longest delay."""


def draw(rng: random.Random) -> tuple[str, list[Fault]]:
    """Draw ``own`` or ``twins``, and one to three faults."""
    faults = []
    for _ in range(rng.randint(1, 3)):
        kind = rng.choice(KINDS)
        moment = rng.choice((*MOMENTS, None, None))
        if kind == STALE:
            moment = BEFORE
        elif kind in (INTRUDER, SCANNER):
            moment = WAITING
        faults.append(Fault(kind, rng.choice(VICTIMS), moment, rng.random()))
    return rng.choice(("own", "twins")), faults


@dataclass
class Schedule:
    """One run that is disturbed until its faults are used up, and restarted until it is done."""

    seed: int
    nursery: Nursery
    directory: Path
    hits: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Kinds of faults, whom and in which phase they hit."""

    def play(self) -> None:
        """Run it; what must hold of it is asserted on the way."""
        self.rng = random.Random(self.seed)
        self.what, self.faults = draw(self.rng)
        self.jobs = ("own",) if self.what == "own" else ("learner", "parent")
        self.halves = Halves(self.nursery, self.directory, {"FINETUNA_FLOWS_INTERFACE": "lo"})
        self.directory.mkdir()
        relaxation.write(self.what, self.directory)
        try:
            for _ in range(TRIES):
                self._try()
                if self._is_done():
                    break
            self.halves.check_end()
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{self.faults}\n{self.halves.printed()}") from problem
        finally:
            self.halves.end()
        shutil.rmtree(self.directory)

    def _try(self) -> None:
        """Start both halves, disturb them until something has ended, and wait for the rest."""
        self.halves.check_nothing_twice()
        while self.faults and self.faults[0].kind == STALE:
            self.faults.pop(0)
            self._plant()
        gate = self._shut_gate()
        starts = self._starts()
        for job in self.rng.sample(self.jobs, len(self.jobs)):
            self.halves.start(job)
            time.sleep(self.rng.uniform(0, 0.2))
        while self.faults and self._run_on(gate, starts):
            fault = self.faults.pop(0)
            if fault.kind == STALE:
                continue  # somebody lives at the invitation
            self._hit(fault)
            self.halves.notes.open()
            if fault.kind in (KILL, TERM):
                break
            gate = self._shut_gate()
        self.halves.notes.open()
        self._wait()

    def _wait(self) -> None:
        """Wait for all jobs; one whose twin has not noticed its end is started again alone."""
        deadline = time.monotonic() + DONE_WITHIN
        since: float | None = None
        while any(running := list(map(self.halves.is_running, self.jobs))):
            assert time.monotonic() < deadline, f"{self.jobs} did not end: {running}"
            time.sleep(0.02)
            if all(running) or self._is_done():
                since = None
                continue
            since = since or time.monotonic()
            if time.monotonic() - since > NOTICED:
                self.halves.start(self.jobs[running.index(False)])
                since = None
        self.halves.check_clean()

    def _is_done(self) -> bool:
        path = self.directory / "learner.json"
        return path.exists() and "error" not in json.loads(path.read_text())

    def _starts(self) -> int:
        return self.halves.notes.count(phases.LEARNER_STARTS)

    def _shut_gate(self) -> tuple[str, int] | None:
        """Have the run wait where the next fault is to hit it; the gate, if it has one."""
        fault = self.faults[0] if self.faults else None
        if fault is None or fault.moment is None:
            return None
        first = {
            ("learner", BEFORE): phases.LEARNER_STARTS,
            ("learner", WAITING): phases.PARENT_STARTS,
            ("parent", BEFORE): phases.PARENT_STARTS,
            ("parent", WAITING): phases.LEARNER_STARTS,
        }
        who = "parent" if fault.victim in ("parent", "child") else "learner"
        if fault.kind in (INTRUDER, SCANNER) or (self.what == "own" and fault.moment == WAITING):
            who = "learner"
        phase = first.get((who, fault.moment), fault.moment)
        later = int(3 * fault.number) if fault.moment in (LABELLING, TUNING) else 0
        nth = self.halves.notes.count(phase) + 1 + later
        self.halves.notes.shut(phase, nth)
        return phase, nth

    def _run_on(self, gate: tuple[str, int] | None, starts: int) -> bool:
        """Go on to where the next fault hits; whether anything runs there."""
        fault = self.faults[0]
        phase, nth = gate or ("", 0)
        until_then = time.monotonic() + fault.number * LONGEST_DELAY
        deadline = time.monotonic() + DONE_WITHIN
        while all(map(self.halves.is_running, self.jobs)):
            assert time.monotonic() < deadline, f"{gate} was not reached"
            if gate is None and time.monotonic() > until_then:
                return True
            reached = gate is not None and self.halves.notes.count(phase) >= nth
            if reached and (phase != phases.PARENT_STARTS or self._addresses()):
                return True
            time.sleep(0.005)
        return False

    def _hit(self, fault: Fault) -> None:
        moment = fault.moment or self._moment()
        if fault.kind in (INTRUDER, SCANNER):
            moment = WAITING if (addresses := self._addresses()) else moment
            for address in addresses:
                visit(address, knocks=fault.kind == INTRUDER)
        else:
            pids = self._pids(fault.victim)
            numbers = {KILL: [signal.SIGKILL], TERM: [signal.SIGTERM]}.get(
                fault.kind, [signal.SIGSTOP, signal.SIGCONT]
            )
            for number in numbers:
                for pid in pids:
                    self.halves.kill(pid, number)
                if number == signal.SIGSTOP:
                    time.sleep(PAUSES[0] + fault.number * (PAUSES[1] - PAUSES[0]))
        self.hits[fault.kind, fault.victim, moment] += 1

    def _pids(self, victim: str) -> Iterable[int]:
        """Whom a fault hits; the parent's job is the learner's where it has none of its own."""
        everything = self.halves.left()
        if victim == "everything":
            return everything
        if victim == "child":
            return everything - {self.halves.jobs[job] for job in self.jobs}
        return {self.halves.pid(self.what, victim)}

    def _moment(self) -> str:
        """What the run is doing, as its notes say."""
        reached = (self.directory / relaxation.NOTES / phases.REACHED).read_text().split()
        last = reached[-1] if reached else BEFORE
        if last in (LABELLING, TUNING, CLOSING):
            return last
        return WAITING if self._addresses() else BEFORE

    def _addresses(self) -> list[str]:
        """Where the learner listens, as its invitation says."""
        place = "online_relax/parent/invitation.json" if self.what == "own" else "*/*.invitation"
        for path in self.directory.glob(place):
            with suppress(FileNotFoundError):
                addresses: list[str] = json.loads(path.read_text())["addresses"]
                return addresses
        return []

    def _plant(self) -> None:
        """Leave an invitation as a learner does that was killed."""
        place = "online_relax/parent/invitation.json"
        if self.what == "twins":
            place = f"{relaxation.NOTICES}/{self.halves.key}.invitation"
        path = self.directory / place
        path.parent.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        addresses = [f"unix:{self.directory}/s/gone", f"tcp:127.0.0.1:{port}"]
        said = {"addresses": addresses, "token": "0" * 64, "host": "gone", "withdrawn": ""}
        path.write_text(json.dumps(said))
        self.hits[STALE, "both", BEFORE] += 1


def visit(address: str, *, knocks: bool) -> None:
    """Connect as somebody who does not belong here, and wait to be turned away."""
    with suppress(OSError), parse_address(address).connect(STRANGER_PATIENCE) as connected:
        if not knocks:
            connected.sendall(b"GET / HTTP/1.0\r\n\r\n")
        else:
            connected.sendall(ipi.word(ipi.NEEDINIT))
            guess = ipi.text(ipi.ours(proof="0" * 64, challenge="0" * 64))
            connected.sendall(ipi.word(ipi.PROOF) + guess)
        while connected.recv(2**12):
            pass
