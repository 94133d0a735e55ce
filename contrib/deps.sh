#!/bin/sh
# deps.sh check|install GROUP...: look for what the groups of contrib/packages need. "check" names
# what is missing and the command that installs it; "install" runs that command (root, or sudo).
set -eu
here=$(dirname "$0")
mode=$1
shift
cc=${CC:-cc}
PATH=$PATH:/usr/sbin:/sbin

have() {
        what=${1#*:}
        case $1 in
        cmd:*) command -v "$what" >/dev/null 2>&1 ;;
        file:*) echo "#include <$what>" | "$cc" -E -o /dev/null -x c - 2>/dev/null ;;
        py:*) /usr/bin/python3 -c "import $what" 2>/dev/null ;;
        lib:*) ldconfig -p 2>/dev/null | awk -v name="$what" '$1 == name { found = 1 } END { exit !found }' ;;
        path:*) [ -e "$what" ] ;;
        esac
}

python=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || python=3
missing=
for group; do
        while read -r g package probe; do
                [ "$g" = "$group" ] || [ "$g" = "$group-$(uname -m)" ] || continue
                case $package in
                *@*) package=${package%@*}$python${package#*@} ;;
                esac
                have "$probe" || case " $missing " in
                *" $package "*) ;;
                *) missing="$missing $package" ;;
                esac
        done <"$here/packages"
done
[ -n "$missing" ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
install="$sudo apt-get install -y --no-install-recommends$missing"
if [ "$mode" = check ]; then
        echo "tapline: these packages are missing:$missing" >&2
        echo "tapline: install them with: ${install# }" >&2
        exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
        echo "tapline: apt-get is not on this machine; install the equivalents of:$missing" >&2
        exit 1
fi
echo "tapline: installing:$missing"
# A service that a package would start is none of our business: the tests start their own.
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q || echo "tapline: apt-get update failed; trying with the lists at hand" >&2
$install
