#!/bin/sh
# The man pages and completions in the repository are those that the program writes now, are good
# mdoc, and good shell; the page of the matrix is that of its table.  After a change to an option table or the matrix:
# ninja -C build/release generated
. "$(dirname "$0")/lib.sh"

"$source_root/docs/man/generate.sh" "$PQLINK" "$dir"
for part in docs/man packaging/completions; do
    for fresh in "$dir/$part"/*; do
        cmp "$fresh" "$source_root/$part/$(basename "$fresh")" ||
            fail "$part/$(basename "$fresh") is out of date: build the target 'generated'"
    done
done
for page in configuration-keys.md matrix.md; do
    cmp "$dir/docs/$page" "$source_root/docs/$page" || fail "docs/$page is out of date: build the target 'generated'"
done
for page in "$source_root"/docs/man/*.[15]; do
    [ -e "$dir/docs/man/$(basename "$page")" ] || fail "$page belongs to no command"
    if command -v mandoc >/dev/null; then
        (cd "$source_root/docs/man" && mandoc -T lint -W warning "$page") || fail "$page is not good mdoc"
    fi
done

# "pqlink node --policy <TAB>" and the like, as bash would ask.
cat >"$dir/complete.bash" <<'BASH'
. "$1"
shift
COMP_WORDS=(pqlink "$@")
COMP_CWORD=$#
_pqlink
echo "${COMPREPLY[*]}"
BASH
bash_completes() {
    wanted=$1
    shift
    got=$(bash "$dir/complete.bash" "$dir/packaging/completions/pqlink.bash" "$@")
    [ "$got" = "$wanted" ] || fail "bash completes '$*' to '$got' instead of '$wanted'"
}
if command -v bash >/dev/null; then
    bash_completes "keygen" keyg
    bash_completes "pow" po
    bash_completes "hash check" pow ""
    bash_completes "--mining-hash" pow hash --m
    bash_completes "status" node st
    bash_completes "--block-time" node --bl
    bash_completes "--json" node status --j
    bash_completes "" node status --bl
    bash_completes "ml-dsa-87 ml-dsa-65 ml-dsa-44" keygen --sign ""
fi
if command -v zsh >/dev/null; then
    zsh -n "$dir/packaging/completions/_pqlink" || fail "the zsh completion is not good zsh"
fi
if command -v fish >/dev/null; then
    fish -n "$dir/packaging/completions/pqlink.fish" || fail "the fish completion is not good fish"
fi
