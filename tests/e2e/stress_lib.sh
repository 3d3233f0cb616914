# What the stress tests share; sourced after node_lib.sh.

# memory PID: private bytes in kB.
memory() { sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }

# blocks FILE: accepted blocks in a node's log.
blocks() { grep -cF '"event":"block_accepted"' "$1" || :; }

# mines_on NAME [COUNT]: so many more blocks than now, by whoever mines.
mines_on() { wait_for "$dir/$1.log" '"event":"block_accepted"' $(($(blocks "$dir/$1.log") + ${2:-2})); }

# skip SENTENCE: ends the test, loudly.
skip() {
    echo "SKIPPED: $*"
    exit 77
}
