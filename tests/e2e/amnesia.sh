#!/bin/sh
# With --amnesia neither node nor miner writes to any file, from the start over mining, scrapes and a
# reload to the orderly stop: every system call that could is looked at.  Their memory is locked and
# they leave no core dump.  The same run without it shows that the look finds what there is.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
command -v strace >/dev/null || { echo "SKIPPED: strace is not installed"; exit 77; }
strace -qq -o /dev/null true 2>/dev/null || { echo "SKIPPED: strace may not trace here"; exit 77; }
if grep -q -e __asan_init -e __tsan_init "$PQLINK"; then
    echo "SKIPPED: amnesia was not tested: a sanitizer's build locks no memory"
    exit 77
fi
easy='--difficulty 20000 --block-time 1s'
calls=open,openat,openat2,open_by_handle_at,creat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir
calls=$calls,mkdirat,link,linkat,symlink,symlinkat,mknod,mknodat,truncate,ftruncate,fallocate,chmod,fchmod
calls=$calls,fchmodat,bind,io_uring_setup,mlockall,munlockall,execve
HOME=$dir/home
export HOME
unset XDG_STATE_HOME
mkdir "$HOME"
# Units and images name a directory for every start: it is set aside.
PQLINK_DIR=$dir/named
export PQLINK_DIR

# writes TRACE: the lines of calls that could change a file, whether they succeeded or not.  What is
# opened for writing may be a device that keeps nothing.  io_uring could write past the trace.
writes() {
    awk '
        { call = $0; sub(/^[0-9]+ +/, "", call) }
        call ~ /^(open|openat|openat2|open_by_handle_at)\(/ {
            if (call ~ /O_(WRONLY|RDWR|CREAT|TRUNC|TMPFILE)/ &&
                call !~ /"\/dev\/(null|tty|urandom|random)"/) print
            next
        }
        call ~ /^bind\(/ && call !~ /sun_path="/ { next } # not the name of a socket in a directory
        call ~ /^io_uring_setup\(/ { next } # none may succeed, see quiet
        call ~ /^(mlockall|munlockall|execve)\(/ || call ~ /^(\+\+\+|---|<\.\.\.)/ { next }
        { print }
    ' "$1"
}

# traced TRACE WORD...: runs the program in our place, so that our process id is its own.
traced() {
    trace=$1
    shift
    exec strace -D -f -q -s 256 -o "$trace" -e "trace=$calls" "$PQLINK" "$@"
}

# begin NAME WORD...: as start_node, traced and without a directory of its own.
begin() {
    name=$1
    shift
    : >"$dir/$name.log"
    # shellcheck disable=SC2086
    (traced "$dir/$name.trace" node --listen quic://127.0.0.1:0 --admin 127.0.0.1:0 --log-format json \
        $easy "$@") 2>"$dir/$name.log" &
    node_pid=$!
    nodes="$nodes $node_pid"
    wait_for "$dir/$name.log" '"event":"listening"'
    port=$(json_field "$dir/$name.log" listening port)
    admin_port=$(json_field "$dir/$name.log" listening admin_port)
    pin=$(json_field "$dir/$name.log" listening fingerprint)
}

# mine_some NAME WORD...: a traced miner until three blocks are accepted.
mine_some() {
    name=$1
    shift
    status=0
    (traced "$dir/$name.trace" mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --admin off \
        --max-blocks 3 --log-format json "$@") 2>"$dir/$name.log" || status=$?
    [ "$status" -eq 0 ] || { cat "$dir/$name.log" >&2; fail "the miner ended with $status"; }
}

# end NAME: stops the node in order, and waits for the end of its trace.
end() {
    kill -TERM "$node_pid"
    ends "$node_pid" 0
    wait_for "$dir/$1.trace" "+++ exited with 0 +++"
}

quiet() {
    wait_for "$dir/$1.trace" "+++ exited with 0 +++"
    contains "$dir/$1.trace" 'mlockall(MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT) = 0'
    ! grep -E 'io_uring_setup.* = [0-9]' "$dir/$1.trace" || fail "$1 works where no trace sees it"
    found=$(writes "$dir/$1.trace")
    [ -z "$found" ] || fail "$1 with --amnesia wrote: $found"
}

# ---- nothing is written ----

begin node --amnesia
first_pin=$pin
contains "$dir/node.log" '"event":"amnesia_on"'
contains "$dir/node.log" '"fingerprint_classical":"sha256:'
contains "$dir/node.log" '"event":"official_miners_off"'
grep -q '^Max core file size *0 *0 ' "/proc/$node_pid/limits" || fail "the node may dump its core"
grep '^VmLck:' "/proc/$node_pid/status" | grep -qv ' 0 kB' || fail "no memory of the node is locked"
curl -sS "http://127.0.0.1:$admin_port/version" >"$dir/version"
contains "$dir/version" '"amnesia":true'
curl -sS "http://127.0.0.1:$admin_port/metrics" >"$dir/metrics"
contains "$dir/metrics" 'pqlink_amnesia 1'
mine_some miner --amnesia --identity
contains "$dir/miner.log" '"event":"identity_in_memory"'
mine_some again --amnesia
curl -sS "http://127.0.0.1:$admin_port/status" >"$dir/status"
height=$(sed -n 's/.*"height":\([0-9]*\).*/\1/p' "$dir/status")
[ "$height" -ge 6 ] || fail "the chain in memory stands at $height"
grep -E '^Vm(RSS|Lck|Size):' "/proc/$node_pid/status"
end node
quiet node
quiet miner
quiet again
[ -z "$(ls -A "$HOME")" ] || fail "something is left in the home directory"

# Official miners are served with tokens that the operator wrote; a reload reads those.
echo "rig:0123456789abcdef0123456789abcdef" >"$dir/tokens"
chmod 600 "$dir/tokens"
begin second --amnesia --tokens "$dir/tokens"
[ "$pin" != "$first_pin" ] || fail "the fingerprint lived on"
contains "$dir/second.log" 'quantus-miner/2'
echo "other:fedcba9876543210fedcba9876543210" >>"$dir/tokens"
kill -HUP "$node_pid"
wait_for "$dir/second.log" '"changed":"tokens: 1 -> 2"'
end second
quiet second
[ ! -e "$PQLINK_DIR" ] || fail "the directory that the environment names was made"

# As the original has it.
MICRO_PERSIST=0
export MICRO_PERSIST
begin original
contains "$dir/original.log" '"event":"amnesia_on"'
end original
quiet original
unset MICRO_PERSIST

# ---- the look finds what there is ----

begin control --dir "$dir/control-state"
mine_some control_miner --identity --dir "$dir/miner-state"
end control
for call in mkdir openat rename unlink; do
    writes "$dir/control.trace" | grep -q " $call[a-z0-9]*(" ||
        fail "the look did not find that a node without --amnesia calls $call"
done
wait_for "$dir/control_miner.trace" "+++ exited with 0 +++"
[ -n "$(writes "$dir/control_miner.trace")" ] || fail "the look did not find what a miner writes"
case $(cat "$dir/control.trace") in *mlockall*) fail "a node without --amnesia locks its memory" ;; esac

# ---- what contradicts it ----

node_url=quic://127.0.0.1:9
expect 2 node --amnesia --keylog "$dir/keys"
contains "$dir/err" 'contradict each other'
expect 2 node --amnesia --qlog "$dir"
contains "$dir/err" '--qlog contradict'
expect 2 node --amnesia --dir "$dir/x"
contains "$dir/err" '--dir contradict'
expect 2 mine --amnesia --node "$node_url" --tofu
contains "$dir/err" '--tofu contradict'
expect 2 mine --amnesia --node "$node_url" --pin "$first_pin" --dir "$dir/x"
contains "$dir/err" '--dir contradict'

# ---- memory that may not be locked ----

low='ulimit -l 64 && exec timeout 60 "$0" node --amnesia --listen quic://127.0.0.1:0 --admin off'
if [ "$(id -u)" = 0 ]; then
    # Root may lock whatever its limit says; whoever may not is told.
    command -v setpriv >/dev/null || { echo "SKIPPED in part: no setpriv"; exit 0; }
    cp "$PQLINK" "$dir/pqlink"
    chmod 755 "$dir" "$dir/pqlink"
    status=0
    setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "$low" "$dir/pqlink" 2>"$dir/err" || status=$?
else
    status=0
    sh -c "$low" "$PQLINK" 2>"$dir/err" || status=$?
fi
[ "$status" -ne 0 ] || fail "a node started that could not lock its memory"
contains "$dir/err" 'LimitMEMLOCK=infinity'
