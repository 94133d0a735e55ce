#!/bin/sh
# coverage.sh [build|run|report|all [PYTEST_ARGS]]: which lines of relay/ and preload/ the unit and end-to-end tests run.
# Source-based coverage of clang in continuous mode: counters are mapped files, so that _exit(2), a kill and the relay's
# confinement lose nothing. `build` compiles and runs the unit tests; `run` may come many times, each adds to what is counted;
# `report` prints a line per file, the total, and the functions that were never entered, and exits 1 below 90% of lines.
set -eu
build=build-coverage
data=${TMPDIR:-/tmp}/tapline-coverage-$(id -u)
what=${1:-all}
[ $# -eq 0 ] || shift
version=$(clang --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
for tool in llvm-profdata llvm-cov; do
        command -v "$tool-$version" >/dev/null || { echo "coverage.sh: $tool-$version is missing (package llvm-$version)" >&2; exit 2; }
done

case $what in build | all)
        rm -rf "$data"
        mkdir "$data"
        chmod 1777 "$data" # some tests run programs as another user
        for target in "all clients" check-unit; do
                # shellcheck disable=SC2086  # a list of words
                make -s -j "$(nproc)" CC=clang B=$build \
                        CFLAGS="-O1 -g -fprofile-instr-generate=$data/%m%c.profraw -fcoverage-mapping -mllvm -runtime-counter-relocation" $target >/dev/null
        done
esac
case $what in run | all)
        [ $# -gt 0 ] || set -- tests/gates/test_findings.py tests/e2e
        umask 0 # the counters of a program that another user starts
        # Tests that count instructions, symbols or descriptors see the counters; they have had their run in make check.
        BUILD=$PWD/$build /usr/bin/python3 -m pytest -q "$@" || echo "coverage.sh: tests failed under instrumentation; the figures are of what ran"
esac
case $what in report | all) ;; *) exit 0 ;; esac

"llvm-profdata-$version" merge -sparse -o "$build/coverage.profdata" "$data"/*.profraw
objects="-object $build/libtapline.so"
for test in "$build"/unit/test_*; do
        case $test in *.d) ;; *) objects="$objects -object $test" ;; esac
done
only='-ignore-filename-regex=(^|/)(tests|include)/'
# shellcheck disable=SC2086  # a list of words
"llvm-cov-$version" report "$build/tapline" $objects $only -instr-profile="$build/coverage.profdata" |
        awk '{ print $1, $8, $9, $10 }' | column -t
# shellcheck disable=SC2086
"llvm-cov-$version" export "$build/tapline" $objects $only -instr-profile="$build/coverage.profdata" |
        /usr/bin/python3 -c '
import json, sys
entered = {}
for function in json.load(sys.stdin)["data"][0]["functions"]:
    place = function["filenames"][0], function["name"].split(":")[-1]  # one name in each program that has it
    entered[place] = entered.get(place, 0) + function["count"]
for place in sorted(place for place, count in entered.items() if not count):
    print("never entered:", *place)'
# shellcheck disable=SC2086
"llvm-cov-$version" export -summary-only "$build/tapline" $objects $only -instr-profile="$build/coverage.profdata" |
        /usr/bin/python3 -c '
import json, sys
lines = json.load(sys.stdin)["data"][0]["totals"]["lines"]
print("lines: %d of %d, %.1f%%" % (lines["covered"], lines["count"], lines["percent"]))
sys.exit(lines["percent"] < 90)'
