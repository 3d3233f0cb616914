#!/bin/sh
# A node with --clients lets in the miners of its file only, and reads the file again on SIGHUP; a
# miner that was refused comes in by itself once it is listed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"

miner_pin() { "$PQLINK" fingerprint --dir "$1" | sed -n '1s/.* //p'; }

"$PQLINK" keygen --dir "$dir/known" >"$dir/keygen.out"
printf '# miners\n%s the one in the cellar\n' "$(miner_pin "$dir/known")" >"$dir/clients"
start_node node --difficulty 20000 --block-time 1s --clients "$dir/clients"

start_miner known --max-blocks 1 --identity --dir "$dir/known"
ends "$miner_pid" 0
contains "$dir/known.log" "$(miner_pin "$dir/known")"
contains "$dir/node.log" "\"certificate\":\"$(miner_pin "$dir/known")\""

start_miner bare --max-blocks 1
wait_for "$dir/bare.log" 'with a certificate only'
kill -TERM "$miner_pid"
ends "$miner_pid" 0

# The identity is made on first use, and the node does not know it yet.
start_miner new --max-blocks 1 --identity --dir "$dir/new"
new_pid=$miner_pid
wait_for "$dir/new.log" '"event":"identity_created"'
wait_for "$dir/node.log" "$(miner_pin "$dir/new")"
miner_pin "$dir/new" >>"$dir/clients"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"changed":"clients: 1 -> 2"'
ends "$new_pid" 0

# A file with a fault changes nothing.
echo 'rack-7' >>"$dir/clients"
kill -HUP "$node_pid"
wait_for "$dir/node.log" "Line 4 of $dir/clients"
start_miner again --max-blocks 1 --identity --dir "$dir/new"
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0

expect 2 node --dir "$dir/other" --listen quic://127.0.0.1:0 --admin off --clients "$dir/clients"
contains "$dir/err" "Line 4 of $dir/clients"
