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
    # A suite that apt doesn't use comes from where this machine's own comes from.
    own=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
        awk -v suite="$suite" -v own="$own" '$2 == suite { exact = exact ? exact : $1 } $2 == own { near = near ? near : $1 } END { print exact ? exact : near }')
    rm -rf "$root.new"
    echo "debian-root: making a $suite root in $root" >&2
    debootstrap --variant=minbase --include="$packages" "$suite" "$root.new" "$mirror" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
    rm -rf "$root.new"/var/cache/apt/archives/*.deb
    mv "$root.new" "$root"
fi
echo "$root"
