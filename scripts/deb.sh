#!/bin/sh
# Builds dist/mailstork_VERSION_ARCH.deb from what is in bin/. The same commit gives the same bytes.
set -eu
cd "$(dirname "$0")/.."
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
ARCH=$(go env GOARCH)
export ARCH

# A tag v1.2.3 is version 1.2.3. What lies behind a tag sorts behind it, what has no tag sorts before everything.
case "$1" in
v[0-9]*) DEB_VERSION=$(printf %s "$1" | sed 's/^v//; s/-/+/g') ;;
*) DEB_VERSION="0~$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$(printf %s "$1" | tr -c 'a-zA-Z0-9' . )" ;;
esac
export DEB_VERSION

stage=dist/stage
rm -rf "$stage"
mkdir -p "$stage/doc" "$stage/man1" "$stage/man5"
install -m 0755 bin/mailstork bin/mailstork-checkpassword "$stage/"
install -m 0644 README.md docs/*.md packaging/copyright "$stage/doc/"
for page in docs/man/*.[15]; do
    gzip -9n <"$page" >"$stage/man${page##*.}/${page##*/}.gz"
done
"$stage/mailstork" completion bash >"$stage/completion"
{
    echo "mailstork ($DEB_VERSION) unstable; urgency=medium"
    echo
    echo "  * Built from $1; the changes are in the repository's history."
    echo
    echo " -- mailstork maintainers <maintainers@mailstork.example.org>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$stage/doc/changelog.gz"

rm -f dist/mailstork_*.deb
go run -modfile=tools/go.mod github.com/goreleaser/nfpm/v2/cmd/nfpm package --config packaging/nfpm.yaml --packager deb --target dist/ >/dev/null
rm -rf "$stage"
for package in dist/mailstork_*.deb; do
    echo "$package: $(($(stat -c %s "$package") / 1024)) KiB"
done
