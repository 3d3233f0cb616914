# What the end-to-end tests share; sourced by each, in dash as in bash.
# Leaves in $dir a new directory that goes away at the end.
set -eu
umask 022 # files that others can change are refused
: "${PQLINK:?names the built program}"
source_root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# No test reads the settings of whoever runs it.
for variable in $(env | sed -n 's/^\(PQLINK_[A-Z0-9_]*\)=.*/\1/p') \
    PQ_HYBRID PQ_ONLY PQ_SIGN_ALGO KEY_ROTATION_DAYS MICRO_PERSIST; do
    case $variable in
    PQLINK_DEPS | PQLINK_CACHE | PQLINK_MIRROR | PQLINK_PEERS) ;; # of the build
    *) unset "$variable" ;;
    esac
done
export PQLINK_CONFIG=none
export PQLINK_DIR="$dir/state" # and no test leaves anything in the machine's own directory
unset NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID # no test talks to the manager that runs it

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# expect STATUS WORD...: runs the program with WORDs; its output is then in $dir/out and $dir/err.
expect() {
    wanted=$1
    shift
    status=0
    "$PQLINK" "$@" >"$dir/out" 2>"$dir/err" </dev/null || status=$?
    if [ "$status" -ne "$wanted" ]; then
        cat "$dir/out" "$dir/err" >&2
        fail "pqlink $* ended with $status instead of $wanted"
    fi
}

# contains FILE TEXT: the file has the text somewhere.
contains() {
    grep -qF -- "$2" "$1" || {
        cat "$1" >&2
        fail "$1 does not contain: $2"
    }
}
