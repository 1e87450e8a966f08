#!/bin/sh
# Makes a Debian root once and prints its folder: debian-root.sh SUITE PACKAGES
# The mirror and its keys are those that this machine's apt uses. Roots are kept in the cache folder.
set -eu
suite=$1
packages=$2
cache=${MAILSTORK_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/mailstork}
root=$cache/$suite-$(printf %s "$packages" | cksum | cut -d' ' -f1)
if [ ! -e "$root.complete" ]; then
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)
    mkdir -p "$cache"
    rm -rf "$root"
    echo "debian-root: making a $suite root in $root" >&2
    debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
    rm -rf "$root"/var/cache/apt/archives/*.deb
    touch "$root.complete"
fi
echo "$root"
