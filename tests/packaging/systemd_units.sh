#!/bin/sh
# systemd_units.sh BUILD-DIRECTORY: the installed units are good, and leave the services little to
# do harm with; the example configuration is good, also with everything in it that is commented out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
# Exposure as `systemd-analyze security` counts it, times ten: 0 is none, 100 is everything.
exposure_max=15

cmake --install "$1" --prefix "$place/usr" >"$place/install.log" || {
    cat "$place/install.log"
    exit 1
}
pqlink=$place/usr/bin/pqlink
conf=$place/usr/share/doc/pqlink/pqlink.conf
"$pqlink" config check "$conf"
cmp "$conf" "$here/../../packaging/pqlink.conf"
sed 's/^#\([a-z_]* = \|\[\)/\1/' "$conf" >"$place/whole.conf"
grep -q '^\[mine\]' "$place/whole.conf"
grep -q '^tokens = ' "$place/whole.conf"
"$pqlink" config check "$place/whole.conf"

for unit in pqlink-node pqlink-mine; do
    grep -qF "ExecStart=$place/usr/bin/pqlink " "$place/usr/lib/systemd/system/$unit.service"
done
if ! command -v systemd-analyze >/dev/null; then
    echo "SKIPPED: systemd-analyze is not installed; nobody has verified the units" >&2
    exit 77
fi
for unit in pqlink-node pqlink-mine; do
    file=$place/usr/lib/systemd/system/$unit.service
    SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$file" 2>"$place/verify" || {
        cat "$place/verify" >&2
        exit 1
    }
    # Other units of the machine may be bad; ours must not be named.
    if grep -F "$unit" "$place/verify"; then
        echo "systemd-analyze verify complains about $unit" >&2
        exit 1
    fi
    systemd-analyze security --offline=true --no-pager --threshold=$exposure_max "$file" \
        >"$place/security" || {
        cat "$place/security" >&2
        echo "$unit is exposed more than $exposure_max" >&2
        exit 1
    }
    tail -n 1 "$place/security"
done
if command -v systemd-sysusers >/dev/null; then
    mkdir -p "$place/root/etc"
    systemd-sysusers --root="$place/root" "$place/usr/lib/sysusers.d/pqlink.conf"
    grep -q '^pqlink:' "$place/root/etc/passwd"
fi
