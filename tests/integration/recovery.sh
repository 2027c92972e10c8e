#!/bin/bash
# Kills of real daemons: whatever dies and is started again, synchronous training ends with the same bits.
#
# Usage: recovery.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
steps=1500
# shellcheck source=tests/integration/lib_checkpoints.sh
source "$(dirname "$0")/lib_checkpoints.sh"

begin "without faults, with checkpoints"
cp "$scratch/plain.safetensors" "$case_dir"
keep_checkpoints
train checkpointed 2 3 "${options[@]}"
same_model plain checkpointed

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
