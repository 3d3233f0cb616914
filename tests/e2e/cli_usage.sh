#!/bin/sh
# A wrong command line ends with status 2, a sentence, and where the help is; nothing on standard
# output.
. "$(dirname "$0")/lib.sh"

# refused TRY SENTENCE WORD...
refused() {
    try=$1
    sentence=$2
    shift 2
    expect 2 "$@"
    [ ! -s "$dir/out" ] || fail "pqlink $* writes to standard output"
    contains "$dir/err" "pqlink: $sentence"
    contains "$dir/err" "pqlink: try '$try'"
}

refused 'pqlink --help' "A command is missing."
refused 'pqlink --help' "There is no command 'keygn'; did you mean 'keygen'?" keygn
refused 'pqlink --help' "There is no command 'xyzzy'." xyzzy
refused 'pqlink --help' "There is no command '--frobnicate'." --frobnicate
refused 'pqlink pow --help' "The command pow needs a second word." pow
refused 'pqlink pow --help' "There is no command 'pow chek'; did you mean 'pow check'?" pow chek
refused 'pqlink keygen --help' "There is no option --sing; did you mean --sign?" keygen --sing x
refused 'pqlink keygen --help' "Option --dir needs a value" keygen --dir
refused 'pqlink keygen --help' "Option --json is given twice." keygen --json --json
refused 'pqlink --help' "There is no command '?[31mkü?'." "$(printf '\033[31mkü\233')"
refused 'pqlink version --help' "There is no option --?]0;x?." version "$(printf -- '--\033]0;x\007')"
refused 'pqlink version --help' "The value 'yes' of --json does not fit: It must be true or false." version --json=yes
refused 'pqlink node --help' "The value 'cnsa' of --policy does not fit: It must be one of: hybrid, off, pq-only, cnsa-2.0, hybrid-2026, off-2026, pq-only-2026, cnsa-2.0-2026." node --policy cnsa
refused 'pqlink version --help' "The word 'now' is not expected here" version now
refused 'pqlink help --help' "The command 'version' has no command 'now'." help version now
