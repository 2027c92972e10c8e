#!/bin/bash
# Leases, deadlines and early endings of real daemons: who is lost is named, a wait can be bounded, and what is told to
# end leaves a checkpoint from which training goes on with the same bits.
#
# Usage: liveness.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130
steps=$(scaled 1500)
options=(--data-folder "$scratch/data" --optimizer adam --learning-rate 0.001 --steps "$steps" --batch-size 20)
endless=(--data-folder "$scratch/data" --epochs 100000)

start_one_ps() {
    start_task "ps-$1" "$(task "$cluster" ps "$1")" "$ps" "${ps_options[@]}"
}

start_one_worker() {
    local index=$1
    shift
    start_task "worker-$index" "$(task "$cluster" worker "$index")" "$worker" --output-dir "$case_dir/outputs" "$@"
}

kill_hard() {
    kill -KILL "${pids[$1]}"
    wait "${pids[$1]}" 2>/dev/null
    unset "pids[$1]"
}

begin "a worker that is stopped is lost, and is heard of again"
ps_options=(--lease-secs 1)
start_cluster "$(dense 2 2)" 2 2 "${endless[@]}"
await_log worker-0 "epoch 1: test"
kill -STOP "${pids[worker-1]}"
await_log ps-0 "worker 1 has not been heard of for 1 s"
await_log ps-1 "worker 1 has not been heard of for 1 s"
await_log worker-0 "waits for worker 1 (lost)"
kill -CONT "${pids[worker-1]}"
await_log ps-0 "worker 1 is heard of again"
expect is_running worker-0

begin "a worker that computes for long is not lost"
ps_options=(--lease-secs 2)
cluster=$(dense 1 2)
start_one_ps 0
# One step takes them longer than a lease.
for w in 0 1; do start_one_worker "$w" "${endless[@]}" --hidden 5000,5000 --batch-size 1000 --evaluate-every 0; done
await_log worker-0 ": loss " # a line that comes after some seconds
if log_says ps-0 "has not been heard of"; then fail_log ps-0 "a worker at work was taken for lost"; fi

begin "a lost worker ends the job, if so wished"
ps_options=(--lease-secs 1)
start_cluster "$(dense 2 2)" 2 2 "${endless[@]}" --on-worker-loss fail --grace-secs 5
await_log worker-0 "epoch 1: test"
kill_hard worker-1
for name in worker-0 ps-0 ps-1; do await_end "$name" 138; done
expect_log ps-0 "worker 1 has not been heard of for"
expect_log ps-0 "(--on-worker-loss fail)"
expect_log worker-0 "(--on-worker-loss fail)"

begin "a ps gives up when nothing moves, and says who is waited for"
ps_options=(--deadline 8) # longer than any step takes on a busy machine
start_cluster "$(dense 2 2)" 2 2 "${endless[@]}"
await_log worker-0 "epoch 1: test"
kill_hard worker-1
for name in worker-0 ps-0 ps-1; do await_end "$name" 138; done
# One of them may have had the last gradient of worker 1, and the other not: then nothing of a later step comes to the first.
expect grep -q "(--deadline): step [0-9]* waits for worker 1" "$case_dir/ps-0.log" "$case_dir/ps-1.log"

begin "a ps without workers gives up"
ps_options=(--deadline 1)
cluster=$(dense 1 1)
start_one_ps 0
await_end ps-0 138
expect_log ps-0 "(--deadline): no worker has joined"

begin "a worker gives up on a ps that is silent"
ps_options=()
start_cluster "$(dense 2 1)" 2 1 "${endless[@]}" --deadline 8
await_log worker-0 "epoch 1: test"
kill -STOP "${pids[ps-1]}"
await_end worker-0 138
expect_log worker-0 "ps/1: it owes an answer and has been silent for 8 s (--deadline)"

begin "everything is told to end, and goes on where it was, with the same bits"
ps_options=()
train plain 2 3 "${options[@]}"
# Of the checkpoints none but the last is in question.
ps_options=(--checkpoint-dir "$case_dir/checkpoints" --checkpoint-steps 0)
cluster=$(dense 2 3)
for i in 0 1; do start_one_ps "$i"; done
for i in 0 1 2; do start_one_worker "$i" "${options[@]}"; done
await_log worker-0 "epoch 2: test"
kill -TERM "${pids[ps-0]}" "${pids[ps-1]}"
for i in 0 1; do await_end "ps-$i" 143 && expect_log "ps-$i" "winding up at step"; done
cp "$case_dir/ps-0.log" "$case_dir/ps-0.ended.log"
for i in 0 1; do start_one_ps "$i"; done
await_all
for i in 0 1; do expect_log "ps-$i" "going on from the checkpoint of step"; done
ended=$(sed -nE 's/.*winding up at step ([0-9]+).*/\1/p' "$case_dir/ps-0.ended.log")
expect_log ps-0 "going on from the checkpoint of step $ended"
keep_model resumed
same_model plain resumed

begin "a second signal ends a ps at once"
ps_options=(--checkpoint-dir "$case_dir/checkpoints" --checkpoint-steps 0)
start_cluster "$(dense 1 2)" 1 2 "${endless[@]}"
await_log worker-0 "epoch 1: test"
kill -STOP "${pids[worker-1]}" # so that the step under way is not completed soon
kill -TERM "${pids[ps-0]}"
kill -TERM "${pids[ps-0]}"
await_end ps-0 143

finish
