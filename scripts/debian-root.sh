#!/bin/sh
# Makes a Debian root once and prints its folder: debian-root.sh SUITE PACKAGES
# The mirror and its keys are those that this machine's apt uses. Roots are kept in the cache folder.
set -eu
suite=$1
packages=$2
cache=${MAILSTORK_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/mailstork}
root=$cache/$suite-$(printf %s "$packages" | cksum | cut -d' ' -f1)
mkdir -p "$cache"
exec 9>"$root.lock"
flock 9 # somebody else may be making it
if [ ! -d "$root" ]; then
    mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' | awk -v suite="$suite" '$2 == suite { print $1; exit }')
    rm -rf "$root.new"
    echo "debian-root: making a $suite root in $root" >&2
    debootstrap --variant=minbase --include="$packages" "$suite" "$root.new" "$mirror" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
    rm -rf "$root.new"/var/cache/apt/archives/*.deb
    mv "$root.new" "$root"
fi
echo "$root"
