#!/bin/bash
# scripts/bench.sh DIRECTORY [NAME]: runs all benchmark programs of a directory, or one.
set -eu
shopt -s nullglob
ran=0
for program in "$1"/bench_"${2:-*}"; do
    [ -x "$program" ] && [ -f "$program" ] || continue
    printf '# %s\n' "$(basename "$program")" >&2
    "$program"
    ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "There is no benchmark${2:+ named $2} in $1." >&2; exit 1; }
