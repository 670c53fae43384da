"""The stand-in for VASP as tests use it, and the captures of the real one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finetuna_flows.processes.tree import all_processes

STAND_IN = Path(__file__).parent / "fakes" / "vasp.py"
COMMAND = f"{sys.executable} {STAND_IN}"
CAPTURES = Path(__file__).parents[2] / "shared" / "data" / "vasp_captures"

captured = pytest.mark.skipif(not CAPTURES.exists(), reason=f"no captures in {CAPTURES}")


@contextmanager
def stand_in(command: str = COMMAND, **switches: str) -> Iterator[None]:
    """VASP_COMMAND and the switches of the stand-in, without their prefix and in lower case."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VASP_COMMAND", command)
        for name, value in switches.items():
            patch.setenv(f"FAKE_VASP_{name.upper()}", value)
        yield


def running_below(folder: Path) -> list[int]:
    """Processes whose working directory is in a folder."""
    return [each.pid for each in all_processes() if folder in _directory(each.pid).parents]


def _directory(pid: int) -> Path:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return Path("/")


def potcar(symbol: str, valence: int) -> str:
    """The head of a POTCAR, which is all that the stand-in's names and pymatgen's checks need."""
    return (
        f"  PAW_PBE {symbol} 01Jan2000\n  {valence}.00000000000000\n"
        " parameters from PSCTR are:\n"
        f"   VRHFIN ={symbol}: of a test\n   LEXCH  = PE\n   EATOM  =     1.0000 eV\n\n"
        f"   TITEL  = PAW_PBE {symbol} 01Jan2000\n   LULTRA =        F\n"
        f"   POMASS =   63.546; ZVAL   =   {valence}.000    mass and valenz\n"
        "   ENMAX  =  295.446; ENMIN  =  221.585 eV\n"
        "END of PSCTR-controll parameters\n local part\n  1.0  2.0  3.0\nEnd of Dataset\n"
    )
