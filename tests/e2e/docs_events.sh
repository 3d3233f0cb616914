#!/bin/sh
# Every event that the program can log has a row in the documents.  An operator who reads an unknown
# name at night must find out what it means.
. "$(dirname "$0")/lib.sh"

# The third word of pqi_log(LEVEL, SERVICE, "event", ...), or both when it is "this" or "that".
find "$source_root/src" -name '*.c' -exec cat {} + | tr '\n' ' ' | sed 's/\<pqi_log(/\
&/g' |
    sed -n 's/^pqi_log([^,]*,[^,]*,\([^,;]*\)[,)].*/\1/p' |
    grep -oE '"[a-z0-9_]+"' | tr -d '"' | sort -u >"$dir/events"
[ "$(grep -c . "$dir/events")" -ge 40 ] || fail "the calls of pqi_log were not found"
for event in handshake_failed reload_refused policy_override_begins; do
    grep -qx "$event" "$dir/events" || fail "the call that logs $event was not found"
done
unknown=
while read -r event; do
    grep -q "\`$event\`" "$source_root/docs/logging.md" "$source_root/docs/guide-node.md" \
        "$source_root/docs/guide-miner.md" || unknown="$unknown $event"
done <"$dir/events"
[ -z "$unknown" ] || fail "no document says what these events mean:$unknown"
