#!/bin/sh
# Installs the Debian packages named as arguments that are missing, and says so. Services are not started: the tests
# run private instances of their own.
set -eu

missing=""
for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

run=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "need:$missing are missing; run as root: apt-get install$missing" >&2; exit 1; }
    run="sudo"
fi
echo "need: installing$missing from Debian's packages"

# Without this, apt would start the system's Dovecot and Postfix.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $run tee "$policy" >/dev/null
    $run chmod +x "$policy"
    trap '$run rm -f "$policy"' EXIT
fi

log=$(mktemp)
install() { $run env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >"$log" 2>&1; }
if ! install; then
    $run apt-get update -qq >>"$log" 2>&1 || true
    install || { cat "$log" >&2; echo "need: installing$missing failed" >&2; exit 1; }
fi
rm -f "$log"
