#!/bin/bash
# Real MNIST through the launcher: 3 epochs reach the accuracy that each mode should have by then.
#
# Usage: accuracy.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

fetch=$(dirname "$0")/../../deploy/fetch-mnist
data=$("$fetch") || {
    fail "MNIST could not be had (deploy/fetch-mnist); --data DIR of it takes files that are already there"
    finish
}

# reaches PERCENT OPTION...   2 ps and 3 workers, 3 epochs.
reaches() {
    local wanted=$1 accuracy
    shift
    run_program run 0 "$launcher" run --quiet --ps 2 --workers 3 --run-dir "$case_dir/run" -- \
        --data-folder "$data" --epochs 3 --evaluate-every 0 "$@"
    accuracy=$(sed -nE 's/^test accuracy +([0-9.]+) %$/\1/p' "$case_dir/run.log")
    echo "  ${accuracy:-?} %"
    awk -v a="${accuracy:-0}" -v w="$wanted" 'BEGIN { exit !(a >= w) }' ||
        fail_log run "${accuracy:-no} % accuracy instead of at least $wanted %"
}

classic=(--batch-size 50 --learning-rate 0.01)

begin "synchronous, with momentum: 96 %"
reaches 96 --optimizer momentum --learning-rate 0.03

begin "asynchronous, with the classic parameters: 90 %"
reaches 90 "${classic[@]}" --mode async

begin "stale by at most 4 steps, with the classic parameters: 90 %"
reaches 90 "${classic[@]}" --mode ssp --staleness 4

# The stand-in for CUDA is some hundred times slower than either: few steps of a small model.
unset CUDA_VISIBLE_DEVICES
small=(--data-folder "$data" --hidden 64 --optimizer momentum --learning-rate 0.05 --evaluate-every 0)

# alike NAME NAME   what two have come to on the test set differs by at most 0.2 points.
alike() {
    grep -ho 'test accuracy [0-9.]*' "$case_dir/$1.log" "$case_dir/$2.log" | awk '{ print "  " $0; of[NR] = $3 }
        END { difference = of[1] - of[2]; exit !(NR == 2 && of[1] > 80 && difference ^ 2 <= 0.2 ^ 2) }' ||
        fail "not the accuracies of $1 and $2, alike"
}

begin "the CUDA backend learns what the processor does, to within rounding"
for device in cpu cuda; do
    run_program "$device" 0 "$tools/gpu/penstock-worker-cuda" "${small[@]}" --device "$device" --batch-size 250 \
        --steps 100 --output-dir "$case_dir/$device"
    expect_log "$device" "computing on $device"
done
alike cpu cuda

# together NAME DEVICE   worker 0 on the processor, worker 1 on DEVICE.
together() {
    local cluster
    cluster=$(dense 1 2)
    start_task ps-0 "$(task "$cluster" ps 0)" "$ps"
    start_task "$1" "$(task "$cluster" worker 0)" "$worker" "${small[@]}" --batch-size 125 --steps 100 \
        --device cpu --output-dir "$case_dir/outputs"
    start_task "$1-1" "$(task "$cluster" worker 1)" "$tools/gpu/penstock-worker-cuda" "${small[@]}" \
        --batch-size 125 --steps 100 --device "$2"
    await_all
    expect_log "$1-1" "computing on $2"
}

begin "a worker on the processor and one on CUDA learn together what two on processors do"
together processors cpu
together mixed cuda
alike processors mixed

finish
