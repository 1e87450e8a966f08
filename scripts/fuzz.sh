#!/bin/sh
# Runs every fuzz test of the tree for the given time.
set -eu
for file in $(grep -rlE '^func Fuzz' --include='*_test.go' .); do
    for name in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$file"); do
        echo "fuzz: $(dirname "$file") $name"
        go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "$(dirname "$file")"
    done
done
