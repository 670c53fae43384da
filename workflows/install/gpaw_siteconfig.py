"""How GPAW is built here: with a C++ compiler and nothing else.

GPAW reads this file when it is compiled (``GPAW_CONFIG``). It then brings its own FFT, linear
algebra, and LDA, PBE and RPBE; the libraries would make it faster, not different.
"""

import os

compiler = os.environ.get("CXX", "g++")
mpi = False
noblas = True
nolibxc = True
fftw = False
libraries: list[str] = []
