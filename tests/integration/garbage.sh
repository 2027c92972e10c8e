#!/bin/bash
# A ps under attack: random bytes, broken greetings, messages that no member may send. The training beside it ends
# with the same bits as an undisturbed one, and the ps takes hardly more memory.
#
# Usage: garbage.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

# Some 300 answers to a member that does not read them may wait, each with weights of 300 KiB of its own.
GROWTH_MAX_KIB=131072

make_data "$scratch/data" 1130
# The job that garbage.c knows: 12 x 12 pixels, and all else as by default but for the slices.
options=(--data-folder "$scratch/data" --slice-kib 4 --steps "$(scaled 400)")

# The most memory that a process has had, in KiB, until it ends: $case_dir/NAME.peak. Not under sanitizers, which keep
# what was freed.
watch_memory() {
    peak=0
    [ "$scale" = 100 ] || return
    local status=/proc/${pids[$1]}/status
    while sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "$status" >"$case_dir/$1.now" 2>/dev/null &&
        [ -s "$case_dir/$1.now" ]; do
        mv "$case_dir/$1.now" "$case_dir/$1.peak"
        sleep 0.1
    done 2>/dev/null &
    watcher=$!
}

# run_job NAME [ATTACKER]   trains with 2 workers, of which the second comes when the attack is on.
run_job() {
    local name=$1 port cluster
    port=$("$tools/free_ports" 1)
    cluster="{\"ps\": [\"127.0.0.1:$port\"], \"worker\": [$(not_listening worker 2)],
        \"evaluator\": [$(not_listening evaluator 1)]}"
    start_cluster "$cluster" 1 1 "${options[@]}"
    watch_memory ps-0
    await_log ps-0 "worker 0 joined"
    if [ "${2:-}" ]; then
        start garbage "$2" "$port" 144
        await_log garbage "under attack"
    fi
    start_task worker-1 "$(task "$cluster" worker 1)" "$worker" "${options[@]}"
    await_end worker-0 0
    await_end worker-1 0
    # The true evaluator takes the place of the false one.
    start_task evaluator "$(task "$cluster" evaluator 0)" "$worker" "${options[@]}"
    await_all
    if [ "$scale" = 100 ]; then
        wait "$watcher"
        peak=$(cat "$case_dir/ps-0.peak")
    fi
    keep_model "$name"
}

begin "an attack from all sides changes neither the result nor the memory of a ps"
run_job quiet
quiet_peak=$peak
run_job attacked "$tools/garbage"
same_model quiet attacked
tail -n 1 "$case_dir/garbage.log"
if [ "$scale" = 100 ]; then
    echo "the ps had $quiet_peak KiB in peace and $peak KiB under attack"
    expect [ $((peak - quiet_peak)) -lt $GROWTH_MAX_KIB ]
fi

finish
