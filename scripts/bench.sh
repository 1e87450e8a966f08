#!/bin/bash
# Measures bin/mailstork beside pump, doveadm and mbsync with the benchmark harness in the folder given, RUNS times in turn, and prints
# medians and ratios. Everything happens on loopback under BENCH_ROOT (20 GB; a new folder in /tmp unless set).
set -euo pipefail

harness=${1:?"say where the benchmark harness is: make bench BENCH=FOLDER"}
runs=${2:-3}
[ -f "$harness/bench.py" ] || { echo "bench: there is no bench.py in $harness" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "bench: the harness starts servers and wants root" >&2; exit 2; }

top=$(cd "$(dirname "$0")/.." && pwd)
export BENCH_ROOT=${BENCH_ROOT:-$(mktemp -d /tmp/mailstork-bench.XXXXXX)} MAILSTORK=$top/bin/mailstork
copy=$(mktemp -d)
trap 'rm -rf "$copy" "$BENCH_ROOT/aside"' EXIT
chmod 755 "$BENCH_ROOT"
cp -r "$harness/." "$copy"
chmod -R u+w "$copy"
cp "$top/test/bench/mailstork.sh" "$copy/tools/"
results=$BENCH_ROOT/results-$(date +%s).jsonl

# The tools named last, in turn, each into an empty mailbox. What the former one left is moved aside and deleted later: for a
# minute after a removal (six until it is on the disk) ext4 steps over each inode that was freed (recently_deleted in
# fs/ext4/ialloc.c), and the next tool pays for it.
measure() {
    local corpus=$1 rtt=$2 tool phases
    for tool in "${@:3}"; do
        mkdir -p "$BENCH_ROOT/aside"
        [ ! -e "$BENCH_ROOT/dst/home/Maildir" ] || mv "$BENCH_ROOT/dst/home/Maildir" "$BENCH_ROOT/aside/$(date +%s%N)"
        phases=initial,noop,delta
        [ "$tool" != pump ] || phases=initial,noop # it can't follow changes
        python3 "$top/test/bench/rested.py" "$copy" --corpus "$corpus" --rtt "$rtt" --tools "$tool" --phases "$phases" --runs 1 --results "$results"
    done
}

for ((run = 1; run <= runs; run++)); do
    # Or the tool that comes first reads the source's messages from the disk, and the others do not.
    [ ! -d "$BENCH_ROOT/corpus" ] || find "$BENCH_ROOT/corpus" -type f -exec cat {} + > /dev/null
    measure m10k 0 pump mailstork doveadm-pf mbsync
    measure m10k 40 pump mailstork doveadm-pf mbsync
    measure many100k 0 pump mailstork doveadm-pf
    measure many100k 40 mailstork
    [ "$run" -gt 1 ] || measure many100k 0 mbsync # 4 to 5 minutes each time
    [ "$run" -lt "$runs" ] || break
    rm -rf "$BENCH_ROOT/aside"
    sync
    sleep 65
done
cd "$top"
go run ./test/bench "$results"
echo "every figure is in $results"
