#!/bin/sh
# Writes man pages, the list of configuration keys and completions anew from the option tables of the program, and the
# page of the matrix from its table.
# Usage: docs/man/generate.sh PQLINK ROOT
#   PQLINK  the built program
#   ROOT    directory that gets docs/man/*, docs/configuration-keys.md, docs/matrix.md and packaging/completions/*
set -eu
pqlink=$1
root=$2
matrix=$(dirname "$0")/../../tests/matrix
man=$root/docs/man
completions=$root/packaging/completions

mkdir -p "$man" "$completions"
rm -f "$man"/*.1 "$man"/*.5
"$pqlink" help --man >"$man/pqlink.1"
"$pqlink" help --list | while read -r name; do
    # "pow hash" is two words on the command line and pqlink-pow-hash.1 on disk.
    # shellcheck disable=SC2086
    "$pqlink" help --man $name >"$man/pqlink-$(echo "$name" | tr ' ' '-').1"
done
"$pqlink" help --man-config >"$man/pqlink.conf.5"
"$pqlink" help --config-keys >"$root/docs/configuration-keys.md"
"$pqlink" help --completion bash >"$completions/pqlink.bash"
"$pqlink" help --completion zsh >"$completions/_pqlink"
"$pqlink" help --completion fish >"$completions/pqlink.fish"
awk -f "$matrix/page.awk" "$matrix/matrix.tsv" "$matrix/offers.tsv" >"$root/docs/matrix.md"
