#!/usr/bin/env python3
"""A stand-in for VASP, for tests and for trying every VASP path without a licence.

    VASP_COMMAND="python tests/fakes/vasp.py"
    VASP_COMMAND="mpirun -n 2 python tests/fakes/vasp.py"

(with the full path where the calculation runs elsewhere, and a python that has numpy and ase).
In the current directory it reads INCAR, POSCAR (VASP 5), KPOINTS or KSPACING, and the names in
POTCAR where there is one; it computes with an ASE calculator and writes OUTCAR, vasprun.xml,
OSZICAR, CONTCAR, XDATCAR, WAVECAR, CHGCAR and stdout in VASP's formats. Each of these says that
its energies are not those of DFT. E0 is the calculator's energy minus 10 eV per atom, F another
0.001 eV per atom lower, forces are the calculator's. It does no symmetry, no bands, no cell
relaxation, no molecular dynamics.

NSW = 0 or IBRION = -1
    one label
IBRION = 2 (also 1 and 3)
    conjugate gradients with trial and corrector steps, to EDIFFG or NSW
INTERACTIVE = .TRUE.
    positions over stdin, as VASP up to 6.4.0 or from 6.4.1 on; ends by STOPCAR, end of file, NSW,
    or EDIFFG unless that is 0

Electronic cycles follow a model (`vasp_parts/scf.py`): 12 to 16 from nothing, from 3 up where a
WAVECAR is read or the process lives on, more the further the atoms moved. LABORT in STOPCAR ends
a step after one cycle, LSTOP after all of them.

FAKE_VASP_CALCULATOR
    ``emt`` (default), ``MODULE:CALLABLE`` or ``FILE.py:CALLABLE``, called without arguments
FAKE_VASP_VERSION
    ``6.3.2`` by default; dialect and peculiarities follow it
FAKE_VASP_CYCLE_TIME
    seconds of CPU time burnt in each electronic cycle
FAKE_VASP_RANKS
    processes in all: rank 0 forks the others, which burn CPU until it is gone. Under mpirun or
    srun the launcher's ranks do the same, while rank 0 holds the lock on ``FAKE_VASP.lock``
FAKE_VASP_BUFFER
    ``block``: stdout and OUTCAR come in blocks of 4096 bytes, vasprun.xml of 8192, as in a build
    that does not flush, even where stdin is waited for; ``files``: only OUTCAR and vasprun.xml.
    By default stdout comes line by line, the files after each ionic step
FAKE_VASP_FAULT
    ``NAME@STEP``, several with commas; ionic steps count from 1. In mid-cycle: ``die0`` (exit 0),
    ``die`` (exit 1, a message on stderr), ``kill`` (SIGKILL), ``zpotrf`` (LAPACK's failure,
    exit 1), ``silent`` (sleeps for ever). In what is written: ``nan`` and ``stars`` (forces),
    ``atoms`` (a row of forces too few), ``unconverged`` (NELM cycles), ``stale`` (the step before
    once more, its number too), ``wrong_positions`` (in OUTCAR and vasprun.xml), ``truncate``
    (OUTCAR and vasprun.xml end in the middle of the step; the run goes on and exits 0)
FAKE_VASP_FAULT_FILE
    made when a fault happens; where it exists none does, so that a second process survives
FAKE_VASP_COUNTER
    directory whose file ``FAKE_VASP.count`` counts ionic steps over processes, for faults where
    each process does one
"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    sys.exit(import_module("vasp_parts.start").main())
