#!/bin/sh
# A service manager hears that a service is ready, reloads, stops and lives; SIGHUP takes over what
# it may from a changed file, and nothing from one with a mistake.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
: "${NOTIFY_LISTEN:?names the built manager}"

# start_manager NAME FILE: what arrives at the socket NAME goes into FILE.
start_manager() {
    "$NOTIFY_LISTEN" "$1" >"$2" &
    nodes="$nodes $!"
    wait_for "$2" listening
    export NOTIFY_SOCKET="$1"
}

conf=$dir/pqlink.conf
printf '[common]\nlog_level = "info"\n[node]\nworkers = 2\n' >"$conf"

start_manager "$dir/notify" "$dir/heard"
export WATCHDOG_USEC=400000
start_node node --config "$conf"
wait_for "$dir/heard" 'READY=1|STATUS=Serving miners on 127.0.0.1'
wait_for "$dir/heard" 'WATCHDOG=1' 3

# A changed file: the log level is taken over, the number of workers is not.
printf '[common]\nlog_level = "debug"\n[node]\nworkers = 3\n' >"$conf"
kill -HUP "$node_pid"
wait_for "$dir/heard" 'RELOADING=1|MONOTONIC_USEC='
wait_for "$dir/heard" 'READY=1' 2
wait_for "$dir/node.log" '"event":"reloaded"'
contains "$dir/node.log" 'log_level: info -> debug'
wait_for "$dir/node.log" '"event":"config_needs_restart"'
contains "$dir/node.log" 'workers: 2 -> 3'

# A mistake: nothing changes, and the log says where it is.
printf '[common]\nlog_level = "error"\n[node]\nworker = 3\n' >"$conf"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"reload_refused"'
contains "$dir/node.log" "$conf:4:1: The table [node] has no key 'worker'; did you mean 'workers'?"
wait_for "$dir/heard" 'READY=1' 3

# The level was not taken from the bad file: this event is of the level info.
printf '[common]\nlog_level = "debug"\n[node]\nworkers = 2\n' >"$conf"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"reloaded"' 2

# A miner, at an abstract name.
start_manager "@pqlink-e2e-$$" "$dir/heard-of-miner"
unset WATCHDOG_USEC
start_miner miner
wait_for "$dir/heard-of-miner" 'READY=1'
wait_for "$dir/heard-of-miner" 'STATUS=mining'
kill -TERM "$miner_pid"
ends "$miner_pid" 0
wait_for "$dir/heard-of-miner" 'STOPPING=1'

kill -TERM "$node_pid"
ends "$node_pid" 0
wait_for "$dir/heard" 'STOPPING=1'
