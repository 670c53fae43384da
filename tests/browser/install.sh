#!/bin/sh
# Installs Debian's Chromium for `make test-browser`; exit code 75 where that cannot be done.
set -eu
if command -v chromium > /dev/null && command -v chromedriver > /dev/null; then
    exit 0
fi
unable() {
    echo "NO CHROMIUM: $1, so that the tests of the report in a browser are skipped" >&2
    exit 75
}
test "$(id -u)" = 0 || unable "installing it needs root"
command -v apt-get > /dev/null || unable "there is no apt-get"
apt-get update -qq || unable "apt-get update failed"
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    chromium chromium-driver > /dev/null || unable "apt-get install failed"
