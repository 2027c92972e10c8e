#!/bin/bash
# `penstock bench` measures every case once, shortly, and reports them all. What comes out is not looked at.
#
# Usage: bench.sh BUILD_FOLDER
PATIENCE_S=${PATIENCE_S:-540} # for more than a hundred measurements, one after the other
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130

begin "every case can be measured and is reported"
run_program bench 0 "$launcher" bench --turns 1 --seconds 0.01 --mnist "$scratch/data" \
    --json "$case_dir/report.json" --svg "$case_dir/charts"
run_program check 0 "$tools/bench/check_report" "$case_dir/report.json" 108 14 \
    "memcpy, memory" "TCP one way" "ZeroMQ one way, ipc" "push, slices" push pull push_pull "push_pull, CURVE" "pull, CURVE beside plain" \
    "round trip, one processor, p99.9" "requests, 64 outstanding" "push_pull, shared memory" "adam, cache" \
    "scaling, 4 ps, 4 workers" "MNIST, 2 ps, 2 workers, batch 500"
for chart in goodput scaling; do
    expect grep -q "<polyline" "$case_dir/charts/$chart.svg"
done

begin "what is not there cannot be chosen"
run_program group 2 "$launcher" bench --cases push,pushes
expect_log group "there is no group 'pushes'"
run_program option 2 "$launcher" bench --faster

begin "a case that cannot be measured fails the run, and the others go on"
run_program failing 1 "$launcher" bench --turns 1 --seconds 0.01 --cases kernels,mnist --mnist "$scratch"
expect_log failing "MNIST, 2 ps, 2 workers, batch 50"
expect_log failing "FAILED"

finish
