#!/bin/sh
# The example of README.md stands there as it stands in connect.c, connects to a node, and refuses
# one with another fingerprint.
here=$(cd "$(dirname "$0")" && pwd)
: "${EXAMPLE:?names the built example}"
. "$here/../tests/e2e/lib.sh"
. "$here/../tests/e2e/node_lib.sh"

# Four spaces of indentation are all that may differ.
sed '/README: begin/,/README: end/!d; //d' "$here/connect.c" | sed 's/^    //' >"$dir/example"
[ -s "$dir/example" ] || fail "connect.c has no part for README.md"
sed -n '/^```c$/,/^```$/p' "$here/../README.md" | sed '/^```/d' >"$dir/readme"
cmp "$dir/example" "$dir/readme" || fail "README.md and examples/connect.c differ"

start_node node
"$EXAMPLE" "quic://127.0.0.1:$port" "$pin" >"$dir/out" || fail "the example could not connect"
contains "$dir/out" "X25519MLKEM768 ML-DSA-87 TLS_AES_256_GCM_SHA384, "
if "$EXAMPLE" "quic://127.0.0.1:$port" "sha256:$(printf '%064d' 7)" 2>"$dir/err"; then
    fail "the example took a node with another fingerprint"
fi
contains "$dir/err" PQL_E_TRUST
kill -TERM "$node_pid"
ends "$node_pid" 0
