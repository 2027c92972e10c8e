#!/bin/bash
# Kills of real daemons: whatever dies and is started again, synchronous training ends with the same bits.
#
# Usage: recovery.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130
steps=$(scaled 1500)
checkpoint_steps=$((steps / 40 + 1))
options=(--data-folder "$scratch/data" --optimizer adam --learning-rate 0.001 --steps "$steps" --batch-size 20)

# A cluster whose tasks can be started one by one, and again.
describe() {
    cluster=$(dense "$1" "$2")
}

start_ps() {
    start_again "ps-$1" "$(task "$cluster" ps "$1")" "$ps" "${ps_options[@]}"
}

start_worker() {
    start_again "worker-$1" "$(task "$cluster" worker "$1")" "$worker" --output-dir "$case_dir/outputs" "${options[@]}"
}

# As start_task, but the log goes on.
start_again() {
    local name=$1 config=$2
    shift 2
    env "TF_CONFIG=$config" "$@" >>"$case_dir/$name.log" 2>&1 </dev/null &
    pids[$name]=$!
}

start_all() {
    local i
    for ((i = 0; i < $1; i++)); do start_ps "$i"; done
    for ((i = 0; i < $2; i++)); do start_worker "$i"; done
}

kill_hard() {
    local name
    for name in "$@"; do
        kill -KILL "${pids[$name]}" || fail "$name has ended before it was killed"
    done
    for name in "$@"; do
        wait "${pids[$name]}" 2>/dev/null
        unset "pids[$name]"
    done
}

# Until a checkpoint of at least that step has been written by a ps.
has_checkpoint_from() {
    local newest
    newest=$(sed -nE 's/.*checkpoint of step ([0-9]+) written.*/\1/p' "$case_dir/$1.log" | tail -n 1)
    ((${newest:-0} >= $2))
}

keep_checkpoints() {
    ps_options=(--checkpoint-dir "$case_dir/checkpoints" --checkpoint-steps "$checkpoint_steps")
}

begin "without faults, with checkpoints and without"
train plain 2 3 "${options[@]}"
cp "$case_dir/plain.safetensors" "$scratch/plain.safetensors"
keep_checkpoints
train checkpointed 2 3 "${options[@]}"
same_model plain checkpointed

ends_with_the_same_bits() {
    await_all
    keep_model "$1"
    cp "$scratch/plain.safetensors" "$case_dir/plain.safetensors"
    same_model plain "$1"
}

for victim in ps-0 ps-1 worker-0 worker-2; do
    begin "$victim is killed three times, and started again"
    keep_checkpoints
    describe 2 3
    start_all 2 3
    for ((round = 1; round <= 3; round++)); do
        await has_checkpoint_from ps-0 $((round * steps / 5)) || break
        kill_hard "$victim"
        "start_${victim%-*}" "${victim#*-}"
    done
    ends_with_the_same_bits "$victim"
done

begin "both ps are killed together"
keep_checkpoints
describe 2 3
start_all 2 3
await has_checkpoint_from ps-1 $((steps / 3))
kill_hard ps-0 ps-1
start_ps 0
start_ps 1
ends_with_the_same_bits both

begin "everything is killed, and goes on with another number of ps"
keep_checkpoints
describe 2 3
start_all 2 3
await has_checkpoint_from ps-1 $((steps / 3))
kill_hard ps-0 ps-1 worker-0 worker-1 worker-2
describe 3 3
start_all 3 3
ends_with_the_same_bits resharded
expect_log ps-2 "going on from the checkpoint of step"

begin "without checkpoints training begins anew"
ps_options=()
describe 2 3
start_all 2 3
await_log worker-0 "epoch 2: test"
kill_hard ps-1
start_ps 1
ends_with_the_same_bits anew

finish
