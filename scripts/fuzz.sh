#!/bin/bash
# Runs the fuzz targets of build/fuzz.
#
#   scripts/fuzz.sh [--jobs N] [--seconds S | --smoke S] [NAME...]
#
#   --seconds S  each target for S seconds; without it, in turns of a minute until Ctrl-C
#   --smoke S    all targets together in S seconds on N cores, seeds first; for `make check`
#   NAME...      only these targets
#
# New inputs are kept in build/fuzz/corpus/NAME, and what crashed in build/fuzz/crashes.
# The last line is `fuzz: N passed, N failed`.
set -u
cd "$(dirname "$0")/.."

turn_seconds=60
jobs=$(nproc)
seconds=
smoke=
while [ $# -gt 0 ]; do
    case $1 in
    --jobs) jobs=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --smoke) smoke=$2; shift 2 ;;
    -*) echo "unknown option $1" >&2; exit 2 ;;
    *) break ;;
    esac
done

programs=build/fuzz/fuzz
crashes=build/fuzz/crashes
failed_list=build/fuzz/logs/failed
if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(find fuzz -name '*_fuzz.c' -printf '%f\n' | sed 's/_fuzz\.c$//' | sort)
fi
mkdir -p "$crashes" build/fuzz/logs

# One target: its seeds, every time; then $2 seconds of search.
run_target() {
    local name=$1 time=$2 log=build/fuzz/logs/$1.log seeds=fuzz/corpus/$1 found=build/fuzz/corpus/$1
    local options=(-artifact_prefix="$crashes/$name-" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1)
    mkdir -p "$found"
    local corpora=("$found")
    [ -d "$seeds" ] && corpora+=("$seeds")
    if "$programs/fuzz_$name" "${options[@]}" -runs=0 "${corpora[@]}" >"$log" 2>&1 &&
        "$programs/fuzz_$name" "${options[@]}" -max_total_time="$time" "${corpora[@]}" >>"$log" 2>&1; then
        echo "  ok      $name: $(awk '/number_of_executed_units/ { n = $2 } END { print n + 0 }' "$log") runs in $time s"
    else
        grep -E 'ERROR:|SUMMARY:|runtime error:|Test unit written|No such file' "$log" | head -n 8
        echo "  FAILED  $name: the whole report is in $log"
        return 1
    fi
}
export -f run_target
export programs crashes

# All targets, $jobs at a time, $1 seconds each.  Counts into $failed.
run_all() {
    : >"$failed_list"
    printf '%s\n' "${targets[@]}" |
        xargs -P "$jobs" -I NAME bash -c "run_target NAME $1 || echo NAME >> $failed_list"
    failed=$(wc -l <"$failed_list")
}

report_and_exit() {
    echo "fuzz: $((${#targets[@]} - failed)) passed, $failed failed"
    [ "$failed" = 0 ]
    exit
}

if [ ${#targets[@]} = 0 ]; then
    failed=0
    report_and_exit
fi
if [ -n "$smoke" ]; then
    turn=$((smoke * jobs / ${#targets[@]}))
    [ "$turn" -gt "$smoke" ] && turn=$smoke # fewer targets than cores
    run_all $((turn > 0 ? turn : 1))
    report_and_exit
elif [ -n "$seconds" ]; then
    run_all "$seconds"
    report_and_exit
fi
trap 'echo; echo "stopped"; exit 0' INT
while :; do
    run_all "$turn_seconds"
    [ "$failed" = 0 ] || report_and_exit
done
