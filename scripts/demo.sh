#!/bin/bash
# make demo: a node with the embedded development chain and a miner pinned to its fingerprint, on
# loopback, until five blocks are found.  Leaves nothing behind.  PQLINK names another program.
set -u
cd "$(dirname "$0")/.." || exit 1
pqlink=${PQLINK:-$PWD/build/release/src/cmd/pqlink}
export PQLINK_CONFIG=none # only what stands here
blocks=5
# Work for one block, in seconds of this machine: with five blocks the demo takes about ten.
block_seconds=2
# The least difficulty of the real chain.
least_difficulty=131072

dir=$(mktemp -d) || exit 1
node=
cleanup() {
    [ -z "$node" ] || kill "$node" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n' "$*"; }
broken() {
    printf '\nThe demo failed: %s\n' "$*"
    [ ! -s "$dir/node.log" ] || { echo 'The last lines of the node:'; tail -n 20 "$dir/node.log"; }
    exit 1
}

# field NAME: the value of NAME in the first line of the node's log that has it.
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$dir/node.log" | head -n 1; }

say 'A new identity: ML-DSA-87, and ECDSA P-256 for classical peers'
"$pqlink" keygen --dir "$dir/node" || broken 'no identity could be made'

say 'The proof of work: Poseidon2, as fast as this machine can'
"$pqlink" mine --bench --bench-seconds 1 --log-format json >"$dir/bench" 2>&1 ||
    broken 'the hash rate could not be measured'
rate=$(sed -n 's/.*"hash_rate":\([0-9.e+]*\).*/\1/p' "$dir/bench" | tail -n 1)
difficulty=$(awk "BEGIN { d = int(${rate:-0} * $block_seconds); print d < $least_difficulty ? $least_difficulty : d }")
awk "BEGIN { printf \"%.2f MH/s in all; the chain begins at difficulty %d\\n\", ${rate:-0} / 1e6, $difficulty }"

say 'The node: development chain, QUIC on loopback, TLS 1.3 with X25519MLKEM768'
"$pqlink" node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin 127.0.0.1:0 --source dev \
    --difficulty $difficulty --block-time 2s --log-format json 2>"$dir/node.log" &
node=$!
for _ in $(seq 100); do
    grep -q '"event":"listening"' "$dir/node.log" && break
    kill -0 "$node" 2>/dev/null || { cat "$dir/node.log"; node=; broken 'the node ended'; }
    sleep 0.1
done
port=$(field port)
pin=$(field fingerprint)
[ -n "$port" ] && [ -n "$pin" ] || broken 'the node did not start to listen'
echo "listening on quic://127.0.0.1:$port"
echo "fingerprint  $pin"

say "The miner: pinned to that fingerprint, until $blocks blocks are accepted"
"$pqlink" mine --dir "$dir/miner" --node "quic://127.0.0.1:$port" --pin "$pin" --max-blocks $blocks --admin off \
    --status-interval 1s --log-format text || broken "the miner ended with status $?"

say 'What the node saw'
kill -TERM "$node"
wait "$node" || broken "the node ended with status $?"
node=
sed -n 's/.*"event":"handshake".*"group":"\([^"]*\)","signature":"\([^"]*\)","cipher":"\([^"]*\)".*/link      key exchange \1, signature \2, cipher \3/p' "$dir/node.log" | head -n 1
sed -n 's/.*"event":"block_accepted","height":\([0-9]*\),"hash":"\([0-9a-f]*\)".*/block     \1  \2/p' "$dir/node.log"
found=$(grep -c '"event":"block_accepted"' "$dir/node.log")
[ "$found" -ge $blocks ] || broken "the node accepted $found blocks only"

say "Done: $found blocks mined over a post-quantum link and verified by the node"
