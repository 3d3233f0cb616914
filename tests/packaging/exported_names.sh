#!/bin/sh
# exported_names.sh LIBPQLINK.SO LIBPQLINK.A: each exports pql_* and nothing else.  A name of
# AWS-LC's that leaks would be taken by any other libssl in the same process.
set -eu
failed=0

judge() { # what, file with its names
    grep -c '^pql_' "$2" >/dev/null || { echo "$1 exports no pql_ name at all"; failed=1; }
    if grep -v '^pql_' "$2" | head -n 20 | grep .; then
        echo "$1 exports these names, which are not part of the interface"
        failed=1
    fi
}

names=$(mktemp)
trap 'rm -f "$names"' EXIT
nm -D --defined-only --format=posix "$1" | cut -d ' ' -f 1 >"$names"
judge libpqlink.so "$names"
nm -g --defined-only --format=posix "$2" | awk 'NF > 1 { print $1 }' >"$names"
judge libpqlink.a "$names"
exit "$failed"
