#!/bin/sh
# Fails when a generated file is not what go generate makes of the sources.
set -eu
before=$(git status --porcelain; git diff | sha256sum)
go generate ./...
after=$(git status --porcelain; git diff | sha256sum)
[ "$before" = "$after" ] || { echo "generated files were out of date; commit what go generate made:" >&2; git status --short >&2; exit 1; }
