#!/bin/sh
# docs/exit-codes.md and pqlink(1) tell of the same exit statuses.
. "$(dirname "$0")/lib.sh"

"$PQLINK" help --man | sed -n 's/^\.It \([0-9]*\) Pq \(.*\)$/\1 \2/p' >"$dir/man"
sed -n 's/^| \([0-9]*\) | \([a-z]*\) |.*/\1 \2/p' "$source_root/docs/exit-codes.md" >"$dir/doc"
[ -s "$dir/man" ] || fail "pqlink(1) lists no exit statuses"
cmp "$dir/man" "$dir/doc" || fail "docs/exit-codes.md differs from the program"
