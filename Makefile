# The front door.  CMake does the work; the presets are in CMakePresets.json.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo build check bench interop fuzz install format lint clean setup

SHELL := /bin/bash
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?=
FUZZ ?=
BENCH ?=
PEERS ?=
CASES ?=

# The commands below see one prefix: the user's PQLINK_DEPS, or the one in the cache.
with_deps := export PQLINK_DEPS="$$(deps/setup --print-prefix)" &&
configure = mkdir -p build && $(with_deps) { cmake --preset $(1) > build/configure-$(1).log 2>&1 || \
            { cat build/configure-$(1).log; exit 1; }; }

help:
	@echo 'make demo      everything from nothing to mined blocks: dependencies, build, node and miner'
	@echo 'make build     dependencies and the release build, in build/release'
	@echo 'make check     every test: release, sanitizers, a short fuzz run, format'
	@echo 'make bench     build and run the benchmarks   (BENCH=name for one)'
	@echo 'make interop   foreign peers against pqlink, as root (PEERS=quinn,nginx CASES=retry for some)'
	@echo 'make bench-report   all of them beside other programs, into docs/benchmarks.md'
	@echo 'make fuzz      fuzz until Ctrl-C              (FUZZ_SECONDS=n for each target, FUZZ=name for one)'
	@echo 'make format    format the source with clang-format-19'
	@echo 'make lint      format check, clang-tidy-19 and cppcheck'
	@echo 'make install   install what was built         (PREFIX=/usr/local DESTDIR=)'
	@echo 'make clean     remove build/ (the cache with AWS-LC and ngtcp2 stays)'
	@echo
	@echo 'docs/building.md tells the rest: the cache, mirrors, other systems.'

setup:
	@deps/setup

build: setup
	@$(call configure,release)
	@cmake --build --preset release --parallel $(JOBS)

# Only what the demo runs; without the tests, so that a newcomer need not wait for them.
demo: setup
	@$(call configure,release)
	@cmake --build --preset release --parallel $(JOBS) --target programs
	@if [ -e scripts/demo.sh ]; then exec bash scripts/demo.sh; fi

check:
	@scripts/check.sh

bench: setup
	@$(call configure,release)
	@cmake --build --preset release --parallel $(JOBS) --target programs benchmarks
	@scripts/bench.sh build/release/bench $(BENCH)

# Foreign peers, in a tree of Debian unstable that is made once; needs root.
interop: setup
	@$(call configure,release)
	@cmake --build --preset release --parallel $(JOBS) --target programs udp_relay link_peer
	@tests/interop/setup.sh
	@python3 tests/interop/run.py --tree "$$(tests/interop/setup.sh --print-directory)/root" \
	    --peers "$(PEERS)" --cases "$(CASES)"

# About ten minutes.  Peers that are not there are said loudly; tests/interop/setup.sh brings most.
bench-report: setup
	@$(call configure,release)
	@cmake --build --preset release --parallel $(JOBS) --target programs benchmarks
	@scripts/bench_report.py --run

fuzz:
	@deps/setup --with-check
	@$(call configure,fuzz)
	@cmake --build --preset fuzz --parallel $(JOBS)
	@scripts/fuzz.sh --jobs $(JOBS) $(if $(FUZZ_SECONDS),--seconds $(FUZZ_SECONDS)) $(FUZZ)

# Installs what was built before, and builds nothing, so that `sudo make install` leaves no file of
# root's in the tree.
install:
	@test -e build/release/libpqlink.a || { echo 'Nothing is built yet: run `make build` first.'; exit 1; }
	@DESTDIR="$(DESTDIR)" cmake --install build/release --prefix "$(PREFIX)"

format:
	@scripts/format.sh

lint:
	@deps/setup --with-check
	@$(call configure,release)
	@scripts/format.sh --check
	@scripts/lint.sh build/release

clean:
	@rm -rf build
