#!/bin/sh
# Every command explains itself, and mentions every option that its man page has.
. "$(dirname "$0")/lib.sh"

expect 0 --help
cp "$dir/out" "$dir/program"
expect 0 help
cmp "$dir/out" "$dir/program" || fail "'help' and '--help' differ"

"$PQLINK" help --list >"$dir/names"
[ -s "$dir/names" ] || fail "there are no commands"
while read -r name; do
    contains "$dir/program" "  $name "
    # A name may be two words.
    # shellcheck disable=SC2086
    expect 0 $name --help
    cp "$dir/out" "$dir/help"
    [ ! -s "$dir/err" ] || fail "the help of $name goes to standard error"
    contains "$dir/help" "Usage: pqlink $name"
    # shellcheck disable=SC2086
    expect 0 help $name
    cmp "$dir/out" "$dir/help" || fail "'help $name' and '$name --help' differ"
    # shellcheck disable=SC2086
    "$PQLINK" help --man $name | sed -n 's/^\.It Fl \\-\([^ ]*\).*/\1/p' >"$dir/options"
    contains "$dir/options" help
    while read -r option; do
        contains "$dir/help" "  --$option"
    done <"$dir/options"
done <"$dir/names"

expect 0 pow --help
contains "$dir/out" "pow hash"
contains "$dir/out" "pow check"
if awk 'length > 80' "$dir/program" | grep .; then
    fail "a line of the help is longer than 80 characters"
fi
