#!/bin/sh
# A newcomer's first minutes: a fresh Debian 12 root that has make and git, Go's folder mounted into it, a clean clone
# of this repository; then the two commands of the README. Nothing else is installed by hand.
set -eu
[ "$(id -u)" -eq 0 ] || { echo "fresh: debootstrap needs root" >&2; exit 1; }
[ -z "$(git status --porcelain)" ] || echo "fresh: uncommitted changes are not part of the clone" >&2

base=$("$(dirname "$0")/debian-root.sh" bookworm make,git)
work=$(mktemp -d)
goroot=$(go env GOROOT)

# Everything is mounted in a namespace of its own and is gone with it; so are all processes.
cat >"$work/inside" <<'INSIDE'
set -eu
base=$1 work=$2 goroot=$3 repository=$4
mkdir -p "$work/up" "$work/wk" "$work/root"
mount -t tmpfs -o size=8g tmpfs "$work/up"
mkdir "$work/up/up" "$work/up/wk"
mount -t overlay overlay -o lowerdir="$base",upperdir="$work/up/up",workdir="$work/up/wk" "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mkdir -p "$root$goroot" "$root/src"
mount --bind -o ro "$goroot" "$root$goroot"
git clone -q "$repository" "$root/src/mailstork"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# The way out of this machine: its package sources and the authorities that it trusts.
rm -f "$root"/etc/apt/sources.list
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/apt.conf.d/*proxy*; do
    [ -e "$file" ] && mkdir -p "$root$(dirname "$file")" && cp "$file" "$root$file"
done
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/authorities.crt"
exec chroot "$root" /usr/bin/env -i HOME=/root PATH="$goroot/bin:/usr/sbin:/usr/bin:/sbin:/bin" LANG=C.UTF-8 \
    GOPROXY="$(go env GOPROXY)" GOSUMDB="$(go env GOSUMDB)" GOFLAGS=-buildvcs=false GOTOOLCHAIN=local SSL_CERT_FILE=/etc/authorities.crt \
    /bin/sh -c 'cd /src/mailstork && apt-get update -qq && make test && make demo'
INSIDE
status=0
unshare --mount --pid --fork --propagation private --kill-child sh "$work/inside" "$base" "$work" "$goroot" "$(git rev-parse --show-toplevel)" || status=$?
rm -rf "$work"
[ "$status" -eq 0 ] && echo "fresh: make test and make demo passed in a fresh Debian 12 root"
exit "$status"
