#!/bin/sh
# try.sh BUILD: the main job, shown on a real Poetry. A package index runs on loopback, a user's ~/.cache
# is not writable, Poetry blames the network, tapline names the cause, and its remedy is carried
# out. Everything happens in one private directory that is removed at the end; only the virtual
# environment with Poetry stays for the next time. Exit status 0: all of it was really seen.
# Called by `make try` after the packages of the groups build and try are there.
set -eu
umask 022
PATH=$PATH:/usr/sbin:/sbin

poetry_version=2.3.1
here=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
work=
index_pid=

say() { printf '\n== %s\n' "$*"; }
die() {
        printf '\ntry: %s\n' "$*" >&2
        exit 1
}

cleanup() {
        status=$?
        trap - EXIT HUP INT TERM
        if [ -n "$index_pid" ]; then
                kill "$index_pid" 2>/dev/null || :
                wait "$index_pid" 2>/dev/null || :
        fi
        if [ -n "$work" ]; then
                chmod -R u+rwX "$work" 2>/dev/null || :
                rm -rf "$work"
        fi
        exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP PIPE
trap 'exit 130' INT
trap 'exit 143' TERM

# Root could write into any directory, so as root the job is shown as another user.
if [ "$(id -u)" = 0 ]; then
        account=nobody
        uid=$(id -u "$account")
        gid=$(id -g "$account")
        as_user() { setpriv --reuid="$uid" --regid="$gid" --clear-groups -- "$@"; }
else
        account=$(id -un)
        uid=$(id -u)
        gid=$(id -g)
        as_user() { "$@"; }
fi

make_work() {
        for parent in "${TMPDIR:-/tmp}" /tmp; do
                work=$(mktemp -d "$parent/tapline-try.XXXXXX") || continue
                chmod 0755 "$work"
                as_user test -x "$work" && return 0
                rmdir "$work"
                work=
        done
        die "found no temporary directory that $account can enter"
}

# A directory that only we can have written: nobody can put another Poetry there.
is_ours() { [ -d "$1" ] && [ ! -L "$1" ] && [ -n "$(find "$1" -prune -user "$(id -u)" ! -perm /022)" ]; }

poetry_is_there() {
        [ -x "$venv/bin/poetry" ] &&
                "$venv/bin/poetry" --version 2>/dev/null | grep -q "version $poetry_version"
}

install_poetry() {
        cache=${TAPLINE_TRY_CACHE:-/var/tmp/tapline-try-$(id -u)}
        mkdir -m 0755 "$cache" 2>/dev/null || :
        if ! is_ours "$cache"; then
                echo "$cache is not a directory of our own; Poetry goes into $work for this once"
                cache=$work
        fi
        venv=$cache/poetry-$poetry_version
        exec 9>"$cache/lock"
        flock 9
        if ! poetry_is_there; then
                say "Installing Poetry $poetry_version from this machine's package index into $venv (once)"
                rm -rf "$venv"
                /usr/bin/python3 -m venv "$venv"
                "$venv/bin/python" -m pip install --no-input --disable-pip-version-check \
                        --progress-bar off "poetry==$poetry_version" ||
                        die "pip could not install poetry==$poetry_version; is an index configured and reachable?"
                poetry_is_there || die "Poetry was installed but does not run"
        fi
        exec 9>&-
        as_user test -x "$venv/bin/poetry" || die "$account cannot run $venv/bin/poetry"
}

start_index() {
        mkdir "$work/index"
        /usr/bin/python3 -B "$here/tests/index/index.py" --port 0 --dir "$work/index" \
                >"$work/index.out" 2>"$work/index.err" &
        index_pid=$!
        tries=0
        until [ -s "$work/index.out" ]; do
                tries=$((tries + 1))
                if [ "$tries" -gt 200 ] || ! kill -0 "$index_pid" 2>/dev/null; then
                        die "the local index did not start: $(cat "$work/index.err")"
                fi
                sleep 0.1
        done
        url=$(json_get url "$work/index.out")
        ca=$(json_get ca "$work/index.out")
        # The directory holds the server's key, so the user gets a copy of the certificate only.
        install -m 0644 "$ca" "$work/ca.pem"
        chmod 0700 "$work/index"
}

json_get() {
        /usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[2]))[sys.argv[1]])' "$@"
}

make_project() {
        home=$work/home
        mkdir -p "$home/.cache" "$home/sample"
        cat >"$home/sample/pyproject.toml" <<END
[project]
name = "sample"
version = "0.1.0"
requires-python = ">=3.9"
dependencies = ["grove>=1.0"]

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "local"
url = "$url/simple/"
priority = "primary"
END
        # As a sudo command leaves it behind: the cache belongs to somebody else.
        if [ "$(id -u)" = 0 ]; then
                chown "$uid:$gid" "$home" "$home/sample" "$home/sample/pyproject.toml"
        else
                chmod 0555 "$home/.cache"
        fi
}

# A clean environment: what the user's shell sets (proxies, cache directories) is not part of the case.
in_project() {
        (
                cd "$home/sample"
                as_user env -i HOME="$home" USER="$account" LANG=C.UTF-8 TERM=dumb NO_COLOR=1 \
                        PATH="$work/bin:$venv/bin:/usr/bin:/bin" TMPDIR="$work/tmp" \
                        REQUESTS_CA_BUNDLE="$work/ca.pem" POETRY_VIRTUALENVS_IN_PROJECT=true \
                        POETRY_NO_INTERACTION=1 PYTHONDONTWRITEBYTECODE=1 "$@"
        )
}

# Run the command, show its output as it comes and keep it: show FILE COMMAND...
show() {
        file=$1
        shift
        printf '$ %s\n' "$*"
        { in_project "$@" 2>&1 && echo 0 >"$file.status" || echo $? >"$file.status"; } | tee "$file"
        status=$(cat "$file.status")
        echo "(exit status $status)"
}

expect() { grep -qF -e "$2" "$1" || die "expected to see \"$2\""; }

[ -x "$build/tapline" ] || die "$build/tapline is not there; run make first"
make_work
install_poetry
install -d "$work/bin"
install -d -m 1777 "$work/tmp"
install -m 0755 "$build/tapline" "$build/libtapline.so" "$work/bin/"
install -m 0644 "$build/catalogue.conf" "$work/bin/"
start_index
make_project

say "A package index answers at $url; $account has a project and a ~/.cache it cannot write to:"
ls -ld "$home/.cache"

say "Poetry alone"
show "$work/bare" poetry lock
[ "$status" != 0 ] || die "Poetry was expected to fail"
expect "$work/bare" "All attempts to connect to"

say "The same under tapline"
show "$work/tapped" tapline run --bypass none -- poetry lock
[ "$status" != 0 ] || die "Poetry was expected to fail under tapline too"
expect "$work/tapped" "All attempts to connect to"
expect "$work/tapped" "EACCES"
expect "$work/tapped" "200"
expect "$work/tapped" "$home/.cache"
expect "$work/tapped" "export POETRY_CACHE_DIR="

say "The remedy, taken from tapline's report"
in_project tapline report --format json >"$work/report" || [ $? = 1 ] || die "the report could not be read"
/usr/bin/python3 - "$work/report" >"$work/remedy" <<'END'
import json, sys
findings = json.load(open(sys.argv[1]))["findings"]
errors = [f for f in findings if f["severity"] == "error"]
if [f["code"] for f in errors] != ["cache-not-writable"]:
    sys.exit(f"expected one error finding, cache-not-writable: {findings}")
print("\n".join(errors[0]["remedy"]["commands"]))
END
grep -q '^export POETRY_CACHE_DIR=' "$work/remedy" || die "the report does not hold the command"
cat "$work/remedy"

say "Poetry again, after the remedy"
{ cat "$work/remedy"; echo 'exec poetry lock'; } >"$work/again.sh"
show "$work/fixed" sh "$work/again.sh"
[ "$status" = 0 ] || die "Poetry still fails"
grep -q 'name = "grove"' "$home/sample/poetry.lock" || die "the lock file does not hold what was asked for"

say "Done: the network was innocent, the cache directory was not writable, and the remedy works."
