#!/bin/bash
# Every test, as `make check` runs them.  The last line of output is `N passed, N failed`: the sum
# of all CTest runs, of the fuzz targets, and of the steps that are one test each (a build, the
# format).  A failure never hides a later step, unless that step needs what failed.
set -u
cd "$(dirname "$0")/.."

fuzz_seconds=60
[ "${CI:-}" = true ] && fuzz_seconds=180
jobs=$(nproc)
test_jobs=$((jobs + 2)) # many tests wait for a clock or a peer most of the time
interop_seconds=360 # for making the tree of foreign programs once, and for running the cases
steps=10
step=0
passed=0
failed=0
skipped=0
logs=build/check
rm -rf $logs
mkdir -p $logs

begin() { # label
    step=$((step + 1))
    printf '\n[%d/%d %02d:%02d] %s\n' $step $steps $((SECONDS / 60)) $((SECONDS % 60)) "$1"
}

finish() {
    printf '\n%d:%02d minutes' $((SECONDS / 60)) $((SECONDS % 60))
    [ $skipped = 0 ] || printf ', %d skipped' $skipped
    echo "$passed passed, $failed failed" >$logs/summary
    printf '\n'
    cat $logs/summary
    [ $failed = 0 ]
    exit
}

# A step that counts as one test.  Its output is shown only when it fails.
one_test() { # log name, command...
    local log=$logs/$1.log
    shift
    if "$@" >"$log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        return 0
    fi
    failed=$((failed + 1))
    grep -E 'error|FAILED|warning|undefined reference|Error' "$log" | head -n 30
    echo "FAILED: $*   (all of its output: $log)"
    return 1
}

build_preset() { # preset
    cmake --preset "$1" && cmake --build --preset "$1" --parallel "$jobs"
}

# A benchmark that no longer compiles should not wait for the day somebody needs it.
build_release() {
    build_preset release && cmake --build --preset release --parallel "$jobs" --target benchmarks
}

# Some kernels spread addresses wider than the sanitizers of gcc 12 and 13 expect.
without_aslr() {
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        setarch "$(uname -m)" -R "$@"
    else
        "$@"
    fi
}

run_ctest() { # preset
    local log=$logs/ctest-$1.log total bad absent status
    without_aslr ctest --preset "$1" --parallel "$test_jobs" </dev/null 2>&1 | tee "$log" |
        grep -vE '^(Test project| +Start|Preset|$)'
    status=${PIPESTATUS[0]}
    # "91% tests passed, 1 tests failed out of 12"
    read -r bad total < <(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 \2/p' "$log")
    absent=$(grep -c '\*\*\*Skipped' "$log")
    passed=$((passed + ${total:-0} - ${bad:-0} - absent))
    failed=$((failed + ${bad:-0}))
    skipped=$((skipped + absent))
    if [ "$status" != 0 ] && [ "${bad:-0}" = 0 ]; then
        echo "FAILED: ctest did not finish: $log"
        failed=$((failed + 1))
    fi
}

# Why the foreign programs cannot be run here; nothing when they can.
no_interop() {
    [ "$(id -u)" = 0 ] || { echo "they run in a chroot, which only root can enter"; return; }
    command -v python3 >/dev/null || { echo "python3 is not there"; return; }
    unshare --mount --net true 2>/dev/null || { echo "this machine allows no namespaces"; return; }
    # The tree stays in the cache; what a slow network leaves unbuilt is skipped case by case.
    timeout --kill-after=10 $interop_seconds tests/interop/setup.sh >$logs/interop-setup.log 2>&1 </dev/null
    [ -e "$(tests/interop/setup.sh --print-directory)/root/.complete" ] ||
        echo "their tree could not be made: $(tail -n 1 $logs/interop-setup.log) ($logs/interop-setup.log)"
}

run_interop() { # cases
    local log=$logs/interop.log why line
    why=$(no_interop)
    if [ -n "$why" ]; then
        echo "SKIPPED, not passed: foreign programs in the place of one side: $why"
        skipped=$((skipped + 1))
        return
    fi
    timeout --kill-after=10 $interop_seconds python3 tests/interop/run.py --cases "$1" --jobs "$jobs" \
        --tree "$(tests/interop/setup.sh --print-directory)/root" --json $logs/interop.json </dev/null >$log 2>&1
    grep -vE '^PASS ' $log
    line=$(tail -n 1 $log | grep -xE '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped') || {
        echo "FAILED: the foreign programs did not finish: $log"
        line="0 passed, 1 failed, 0 skipped"
    }
    # shellcheck disable=SC2086 # three words
    set -- ${line//[^0-9 ]/}
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
}

run_fuzz() {
    local line
    scripts/fuzz.sh --jobs "$jobs" --smoke "$fuzz_seconds" </dev/null 2>&1 | tee $logs/fuzz.log
    line=$(grep -E '^fuzz: [0-9]+ passed, [0-9]+ failed$' $logs/fuzz.log) || line="fuzz: 0 passed, 1 failed"
    set -- ${line//[^0-9 ]/}
    passed=$((passed + $1))
    failed=$((failed + $2))
}

begin "prepare this machine"
if ! deps/setup --with-check; then
    failed=1
    finish
fi
PQLINK_DEPS=$(deps/setup --print-prefix)
export PQLINK_DEPS
echo "AWS-LC and ngtcp2: $PQLINK_DEPS"

begin "check the format"
one_test format scripts/format.sh --check

begin "build: release, with the benchmarks"
if one_test build-release build_release; then
    begin "test: release"
    run_ctest release
    begin "test: release, with foreign programs in the place of one side"
    run_interop matrix
fi

begin "build: AddressSanitizer and UndefinedBehaviorSanitizer"
if one_test build-asan build_preset asan; then
    begin "test: AddressSanitizer and UndefinedBehaviorSanitizer"
    run_ctest asan
fi

begin "build and test: ThreadSanitizer"
one_test build-tsan build_preset tsan && run_ctest tsan

begin "build: fuzz targets"
if one_test build-fuzz build_preset fuzz; then
    begin "fuzz: seeds, then $fuzz_seconds seconds of search"
    run_fuzz
fi

finish
