#!/bin/bash
# Workers that are lost for good, and come back: --on-worker-loss shrink with real daemons.
#
# Usage: shrink.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130
shrinking=(--data-folder "$scratch/data" --batch-size 20 --on-worker-loss shrink --grace-secs 1)

start_one_ps() {
    start_task "ps-$1" "$(task "$cluster" ps "$1")" "$ps" "${ps_options[@]}"
}

start_one_worker() {
    start_task "worker-$1" "$(task "$cluster" worker "$1")" "$worker" --output-dir "$case_dir/outputs" "${@:2}"
}

kill_hard() {
    kill -KILL "${pids[$1]}"
    wait "${pids[$1]}" 2>/dev/null
    unset "pids[$1]"
}

# How often a ps's log says that the members change.
count_changes() {
    grep -cE "from step [0-9]+ on with(out)? worker" "$case_dir/$1.log"
}

has_changes() {
    [ "$(count_changes "$1")" -ge "$2" ]
}

begin "the others go on without a worker that is killed, to the end of the job"
ps_options=(--lease-secs 1)
cluster=$(dense 2 3)
start_cluster "$cluster" 2 3 "${shrinking[@]}" --epochs "$(scaled 100)"
await_log worker-0 "epoch 1: test"
kill_hard worker-2
await_log ps-0 "worker 2 is given up"
await_log worker-0 "standing in for worker 2, which is lost"
await_log worker-0 "worker 2 has left, with all that it had to do"
for i in 0 1; do await_log "ps-$i" "without worker 2"; done
await_log worker-1 "the members have changed"
await_all
expect_log worker-0 "finished"

begin "the others go on without two workers that are killed at once"
ps_options=(--lease-secs 1)
cluster=$(dense 2 4)
start_cluster "$cluster" 2 4 "${shrinking[@]}" --epochs "$(scaled 100)"
await_log worker-0 "epoch 1: test"
kill_hard worker-2
kill_hard worker-3
for lost in 2 3; do await_log worker-0 "worker $lost has left, with all that it had to do"; done
await_all
expect_log worker-0 "finished"

begin "one that comes back takes part again, and is lost again"
ps_options=(--lease-secs 1)
cluster=$(dense 2 3)
start_cluster "$cluster" 2 3 "${shrinking[@]}" --epochs 100000
await_log worker-0 "epoch 1: test"
for round in 1 2; do
    kill_hard worker-1
    await has_changes ps-0 $((2 * round - 1))
    await has_changes ps-1 $((2 * round - 1))
    start_one_worker 1 "${shrinking[@]}" --epochs 100000
    await has_changes ps-0 $((2 * round))
    await has_changes ps-1 $((2 * round))
    await_log worker-1 ": loss " # it trains
done
expect is_running worker-0
expect is_running worker-2

begin "one that was cut off is replaced, and says so when it is back"
ps_options=(--lease-secs 1)
cluster=$(dense 2 2)
start_cluster "$cluster" 2 2 "${shrinking[@]}" --epochs 100000
await_log worker-0 "epoch 1: test"
kill -STOP "${pids[worker-1]}"
for i in 0 1; do await_log "ps-$i" "without worker 1"; done
kill -CONT "${pids[worker-1]}"
await_end worker-1 138
expect_log worker-1 "that is not its current one" # its place had been taken
expect is_running worker-0

begin "ps that restart know who takes part"
ps_options=(--lease-secs 1 --checkpoint-dir "$case_dir/checkpoints" --checkpoint-steps 50)
cluster=$(dense 2 3)
start_cluster "$cluster" 2 3 "${shrinking[@]}" --epochs 100000
await_log worker-0 "epoch 1: test"
for i in 0 1; do await_log "ps-$i" "checkpoint of step 100 written"; done
kill_hard worker-2
for i in 0 1; do await_log "ps-$i" "without worker 2"; done
for i in 0 1; do
    kill_hard "ps-$i"
    start_one_ps "$i"
    await_log "ps-$i" "going on from the checkpoint of step"
    await has_changes "ps-$i" 1
done
cp "$case_dir/worker-0.log" "$case_dir/worker-0.before.log"
: >"$case_dir/worker-0.log"
await_log worker-0 ": loss " # it goes on, without the one that is lost
start_one_worker 2 "${shrinking[@]}" --epochs 100000
await_log worker-2 ": loss "

# The worker of that index that this test's launcher has started.
worker_process() {
    pgrep -P "${pids[run]}" -f "penstock-worker .*" | while read -r process; do
        tr '\0' '\n' <"/proc/$process/environ" | grep -q "^TF_CONFIG=.*\"type\": \"worker\", \"index\": $1}" &&
            echo "$process"
    done
}

begin "a launcher goes on without the workers that may be spared"
start run "$launcher" run -q --ps 2 --workers 3 --spare-workers 1 --run-dir "$case_dir/run" \
    --ps-option --lease-secs --ps-option 1 -- "${shrinking[@]}" --epochs "$(scaled 100)"
reports() {
    grep -qs "test accuracy" "$case_dir/run/logs/worker-0.log"
}
await reports
expect kill -KILL "$(worker_process 1)"
await_log run "worker-1 ended with signal 9 (Killed); the others go on without it (1 of 1 spare workers)"
await_end run 0

begin "in async nobody waits for one that is lost"
ps_options=(--lease-secs 1)
cluster=$(dense 2 2)
start_cluster "$cluster" 2 2 "${shrinking[@]}" --mode async --steps "$(scaled 3000)"
await_log worker-0 "epoch 1: test"
kill_hard worker-1
await_all
expect_log ps-0 "worker 1 is given up"

finish
