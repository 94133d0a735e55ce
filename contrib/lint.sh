#!/bin/sh
# lint.sh: what a reviewer need not look for. Layout (clang-format), both compilers with warnings as
# errors and with their analyzers (analyze.py), cppcheck, clang-tidy, the manual page and the shell
# scripts. Runs all of it, then fails if anything failed. A tool that is not installed is an error:
# `sh contrib/deps.sh install build lint`.
# The builds go into a private directory and leave build/ alone. Called by `make lint`.
set -u
cd "$(dirname "$0")/.." || exit 1
sh contrib/deps.sh check build lint || exit 1

failed=
work=$(mktemp -d "${TMPDIR:-/tmp}/tapline-lint.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM PIPE

run() {
        title=$1
        shift
        began=$(date +%s)
        printf '== %s\n' "$title"
        if ! "$@" >"$work/log" 2>&1; then
                cat "$work/log"
                failed="$failed $title;"
        fi
        printf '   %s s\n' $(($(date +%s) - began))
}

queue=$(echo '#include <sys/queue.h>' | gcc -E -M -x c - | tr ' ' '\n' | grep 'sys/queue\.h$')

sources=$(find include preload relay tests -name '*.[ch]' | sort)
units=$(find preload relay -name '*.c' | sort)
export JOBS="${JOBS:-$(getconf _NPROCESSORS_ONLN)}"
# The page's style and script as strings, which the builds below make.
relay_flags="-std=gnu11 -D_GNU_SOURCE -Irelay -Iinclude -I$work/gcc/page -DTAPLINE_LIBDIR=\"/l\" -DTAPLINE_DATADIR=\"/d\""
preload_flags='-std=gnu11 -D_GNU_SOURCE -Ipreload -Iinclude'

# clang-tidy exits 0 on warnings unless WarningsAsErrors is set, which .clang-tidy does.
tidy() {
        folder=$1
        shift
        find "$folder" -name '*.c' -print0 | {
                # shellcheck disable=SC2016
                FLAGS="$*" xargs -0 -r -n 3 -P "$JOBS" sh -c 'clang-tidy --quiet "$@" -- $FLAGS' sh
        }
}

# shellcheck disable=SC2086  # lists of words
{
        run "clang-format" clang-format --dry-run -Werror $sources
        for compiler in gcc clang; do
                run "$compiler, warnings are errors" \
                        make -s -j "$JOBS" CC="$compiler" WERROR=1 B="$work/$compiler" all
        done
        # It does not read system headers, except those whose macros look like functions; with those
        # it takes the variable of a loop over a list for uninitialised.
        run "cppcheck" cppcheck --quiet --std=c11 --enable=warning,performance,portability \
                --inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem -j "$JOBS" \
                --suppress=internalAstError --suppress=uninitvar \
                --include="$queue" --include=/usr/include/uthash.h --include=/usr/include/utlist.h \
                -D_GNU_SOURCE -D__x86_64__ -DTAPLINE_LIBDIR='""' -DTAPLINE_DATADIR='""' '-DElfW(type)=Elf64_##type' \
                -Iinclude -Irelay -Ipreload -I"$work/gcc/page" $units
        run "gcc's and clang's analyzers" /usr/bin/python3 -B contrib/analyze.py "$work/gcc"
        run "clang-tidy relay" tidy relay "$relay_flags"
        run "clang-tidy preload" tidy preload "$preload_flags"
        for script in contrib/*.sh; do
                run "sh -n $script" sh -n "$script"
        done
        run "bash -n" bash -n contrib/completions/tapline.bash
        if command -v mandoc >/dev/null; then
                run "mandoc" mandoc -T lint -W warning docs/tapline.1
        fi
}

[ -z "$failed" ] || {
        echo "lint: failed:$failed" >&2
        exit 1
}
echo "lint: nothing to say"
