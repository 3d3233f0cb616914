#!/bin/sh
# The level is coloured on a terminal, and only there: a file that a service writes stays text.
. "$(dirname "$0")/lib.sh"
escape=$(printf '\033')
if ! script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    echo "SKIPPED: script(1) is missing, or can make no terminal here" >&2
    exit 77
fi
# Ends at once: the key log cannot be written.
node="'$PQLINK' node --dir '$dir/node' --listen quic://127.0.0.1:0 --admin off --log-format text --keylog /nonexistent/keys"

sh -c "$node" 2>"$dir/file.log" || true
contains "$dir/file.log" 'keylog_on'
! grep -q "$escape" "$dir/file.log" || fail 'a file has colours'

TERM=xterm script -qec "$node" /dev/null >"$dir/terminal.log" </dev/null || true
contains "$dir/terminal.log" 'keylog_on'
grep -q "$escape\[33mwarn" "$dir/terminal.log" || fail 'a terminal has no colours'

NO_COLOR=1 script -qec "$node" /dev/null >"$dir/plain.log" </dev/null || true
contains "$dir/plain.log" 'keylog_on'
! grep -q "$escape\[33mwarn" "$dir/plain.log" || fail 'NO_COLOR is not heard'
