#!/bin/sh
# Installs Debian's Quantum ESPRESSO for `make test-engines`; exit code 75 where that cannot be done.
set -eu
if command -v pw.x > /dev/null && test -d /usr/share/espresso/pseudo; then
    exit 0
fi
unable() {
    echo "NO QUANTUM ESPRESSO: $1, so that the tests of native i-PI engines are skipped" >&2
    exit 75
}
test "$(id -u)" = 0 || unable "installing it needs root"
command -v apt-get > /dev/null || unable "there is no apt-get"
apt-get update -qq || unable "apt-get update failed"
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    quantum-espresso quantum-espresso-data > /dev/null || unable "apt-get install failed"
