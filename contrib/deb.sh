#!/bin/sh
# deb.sh BUILD VERSION: a Debian package of what `make install` installs, with the libraries that the program was linked with.
# The same tree gives the same file: times are the last commit's, or SOURCE_DATE_EPOCH.
set -eu
build=$1
version=$2
arch=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
root=$(mktemp -d "${TMPDIR:-/tmp}/tapline-deb-XXXXXX")
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"
make -s install B="$build" DESTDIR="$root" PREFIX=/usr
strip --strip-unneeded "$root/usr/bin/tapline" "$root/usr/lib/tapline/libtapline.so"
gzip -9n "$root/usr/share/man/man1/"*.1
install -d "$root/usr/share/doc/tapline" "$root/DEBIAN"
install -m 0644 LICENSE "$root/usr/share/doc/tapline/copyright"
gzip -9nc CHANGELOG.md >"$root/usr/share/doc/tapline/changelog.gz"
chmod 0644 "$root/usr/share/doc/tapline/changelog.gz"
# A package for each library that the program needs, as dpkg knows them.
depends=$(objdump -p "$root/usr/bin/tapline" | awk '$1 == "NEEDED" { print $2 }' | while read -r name; do
        path=$(ldd "$root/usr/bin/tapline" | awk -v name="$name" '$1 == name { print $3 }')
        dpkg -S "$(readlink -f "$path")" 2>/dev/null || dpkg -S "$path" 2>/dev/null || dpkg -S "*/$name"
done | sed 's/:.*//' | sort -u | paste -sd, | sed 's/,/, /g')
cat >"$root/DEBIAN/control" <<END
Package: tapline
Version: $version
Architecture: $arch
Maintainer: the tapline team <tapline@localhost>
Depends: $depends
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Section: net
Priority: optional
Description: says why a package install really failed
 Runs a command, watches its connections and its failing file calls without any
 privilege, and says at the end what went wrong, with proof and the remedy.
END
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
out=$build/tapline_${version}_$arch.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$out" >/dev/null
echo "$out"
