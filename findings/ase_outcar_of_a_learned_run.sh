#!/usr/bin/env bash
# ASE 3.29.0 (from PyPI).
#
# An OUTCAR of a VASP run with a machine-learned force field (ML_LMLFF, VASP 6.3) has, beside the
# tables and energies of each step of DFT, those of the force field, marked by "ML" and "(ML)".
# ase.io.read takes the heading of the force field's energy for that of DFT, whose line has one word
# less, and raises: no step of the file can be read, also not those of DFT. Without the block of the
# force field the same file is read.
#
# Seen: "without: -6.70000000 eV", then
#   "with: ValueError: could not convert string to float: '='".
# Needs pip and a Python of 3.11 or newer; exits with 1 if ASE reads the file, or neither of both.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ase==3.29.0

cat > "$folder/outcar.py" <<'PYTHON'
"""Two files of one hydrogen molecule, made here in the form of VASP 6.3; and what ASE reads."""

import sys
from pathlib import Path

import ase.io

HEAD = """ vasp.6.3.2 27Jun22 complex
 POTCAR:    PAW_PBE H 15Jun2001
 POTCAR:    PAW_PBE H 15Jun2001
   ISPIN  =      1    spin polarized calculation?
   ions per type =               2
"""
STEP = """
--------------------------------------- Iteration      1(   1)  -----------------------------------
      direct lattice vectors                 reciprocal lattice vectors
     8.000000000  0.000000000  0.000000000     0.125000000  0.000000000  0.000000000
     0.000000000  8.000000000  0.000000000     0.000000000  0.125000000  0.000000000
     0.000000000  0.000000000  8.000000000     0.000000000  0.000000000  0.125000000

 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------------------------------
      0.00000      0.00000      0.37100         0.000000      0.000000      0.450000
      0.00000      0.00000      7.62900         0.000000      0.000000     -0.450000
 -----------------------------------------------------------------------------------
    total drift:                                0.000000      0.000000      0.000000

  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =        -6.70000000 eV

  energy  without entropy=       -6.70000000  energy(sigma->0) =       -6.70000000
"""
LEARNED = """
  POSITION                                       TOTAL-FORCE (eV/Angst) (ML)
 -----------------------------------------------------------------------------------
      0.00000      0.00000      0.37100         0.000000      0.000000     -5.300000
      0.00000      0.00000      7.62900         0.000000      0.000000      5.300000
 -----------------------------------------------------------------------------------
    total drift:                                0.000000      0.000000      0.000000

  ML FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy ML TOTEN  =        -6.80000000 eV

  ML energy  without entropy=       -6.80000000  ML energy(sigma->0) =       -6.80000000
"""
END = "\n     LOOP+:  cpu time      0.7000: real time      0.8000\n"


def read(name, text):
    path = Path(sys.argv[1]) / name
    path.write_text(text)
    return ase.io.read(path, format="vasp-out").get_potential_energy()


print("without:", read("OUTCAR", HEAD + STEP + END), "eV")
try:
    print("with:", read("OUTCAR.learned", HEAD + STEP + LEARNED + END), "eV")
except ValueError as error:
    print(f"with: ValueError: {error}")
    sys.exit(0)
sys.exit("ASE reads it: this has changed")
PYTHON
"$folder/venv/bin/python" "$folder/outcar.py" "$folder"
