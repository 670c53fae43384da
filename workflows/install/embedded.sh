#!/bin/sh
# Install the parent for those who have no VASP into the environment of a Python: GPAW, built
# with a C++ compiler alone, or tblite where that is not possible.
#
#     sh workflows/install/embedded.sh [PYTHON]
set -eu

python=${1:-python3}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

works() {
    "$python" -c "import $1" >/dev/null 2>&1
}

find_compiler() {
    for candidate in "${CXX:-}" g++ c++ clang++; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
}

if works gpaw.cgpaw && works gpaw_data; then
    echo "embedded parent: GPAW is installed"
    exit 0
fi

compiler=$(find_compiler)
if [ -n "$compiler" ]; then
    echo "embedded parent: building GPAW with $compiler (about a minute)"
    # a wheel from pip's cache could be of another configuration
    if CXX="$compiler" GPAW_CONFIG="$here/gpaw_siteconfig.py" "$python" -m pip install --quiet \
        --no-cache-dir --no-binary gpaw "gpaw>=26.7" "gpaw-data>=1.2" && works gpaw.cgpaw; then
        echo "embedded parent: GPAW is installed"
        exit 0
    fi
    echo "embedded parent: GPAW could not be built (see above); taking tblite instead"
else
    echo "embedded parent: no C++ compiler found, so no GPAW; taking tblite instead"
fi

if works tblite.interface; then
    echo "embedded parent: tblite is installed"
    exit 0
fi
"$python" -m pip install --quiet "tblite>=0.8"
if ! works tblite.interface; then
    echo "embedded parent: tblite is installed but cannot be imported" >&2
    exit 1
fi
echo "embedded parent: tblite is installed"
