#!/bin/sh
# fuzz.sh BUILD TARGET...: run each target under libFuzzer for FUZZ_SECONDS on a copy of its committed corpus.
# What it finds is kept in BUILD/found/TARGET; new inputs in BUILD/corpus/TARGET. Exits 1 if anything was found.
set -u
# libconfig loses a few bytes on a syntax error; what the code under test prints is its own (fd mask).
export LSAN_OPTIONS="suppressions=tests/fuzz/leaks.txt:print_suppressions=0"
build=$1
shift
seconds=${FUZZ_SECONDS:-600}
failed=
for target; do
        mkdir -p "$build/corpus/$target" "$build/found/$target"
        printf 'fuzz: %s for %s s\n' "$target" "$seconds"
        log=$build/found/$target.log
        if "$build/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -close_fd_mask=3 \
                -artifact_prefix="$build/found/$target/" "$build/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
                sed -n 's/^stat::number_of_executed_units: */fuzz:   inputs /p; s/^stat::new_units_added: */fuzz:   new /p' "$log"
        else
                tail -40 "$log"
                printf 'fuzz: %s: FOUND, see %s and %s/\n' "$target" "$log" "$build/found/$target"
                failed="$failed $target"
        fi
done
[ -z "$failed" ] || { printf 'fuzz: failed:%s\n' "$failed"; exit 1; }
