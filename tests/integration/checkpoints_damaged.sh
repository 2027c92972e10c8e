#!/bin/bash
# Checkpoints that are damaged, or another training's: the ps go on from one that is whole and theirs, and training
# ends with the same bits.
#
# Usage: checkpoints_damaged.sh BUILD_FOLDER
# shellcheck disable=SC2317 # functions are called by name
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_checkpoints.sh
source "$(dirname "$0")/lib_checkpoints.sh"

begin "a job of which nothing is left but checkpoints"
keep_checkpoints "$scratch/checkpoints"
describe 2 3
start_all 2 3
await has_checkpoint_from ps-0 $((steps / 3))
await has_checkpoint_from ps-1 $((steps / 3))
kill_hard ps-0 ps-1 worker-0 worker-1 worker-2

flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf '%b' "\\x$(printf %x $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

tear_arrays() { truncate -s -7 "$1/ps-1-of-2.safetensors"; }
tear_manifest() { truncate -s 100 "$1/ps-0-of-2.json"; }
empty_arrays() { : >"$1/ps-0-of-2.safetensors"; }
flip_arrays() { flip "$1/ps-0-of-2.safetensors" $(($(stat -c %s "$1/ps-0-of-2.safetensors") - 1000)); }
flip_manifest() { flip "$1/ps-1-of-2.json" 60; }
lose_arrays() { rm "$1/ps-1-of-2.safetensors"; }
lose_shard() { rm "$1"/ps-0-of-2.*; }
# The shard of another job under this name.
mix_in_foreign() { cp "$scratch/foreign"/ps-1-of-2.* "$1"; }
# A crash in the midst of everything.
leave_temporaries() {
    local file
    for file in "$1"/ps-*; do mv "$file" "$file.tmp-123-4"; done
}

make_foreign() {
    local name
    begin "a job of another seed"
    keep_checkpoints
    options+=(--seed 5)
    train foreign 2 3 "${options[@]}"
    unset 'options[-1]' 'options[-1]'
    name=$(whole_cuts | head -n 1)
    cp -r "$name" "$scratch/foreign"
}

make_foreign
for damage in tear_arrays tear_manifest empty_arrays flip_arrays flip_manifest lose_arrays lose_shard mix_in_foreign \
    leave_temporaries; do
    begin "damage: $damage"
    cp -r "$scratch/checkpoints" "$case_dir/checkpoints"
    mapfile -t whole < <(whole_cuts)
    "$damage" "${whole[0]}"
    keep_checkpoints
    describe 2 3
    start_all 2 3
    ends_with_the_same_bits "$damage"
    newest=$((10#${whole[0]##*-}))
    grep -qs "checkpoint of step $newest cannot be used" "$case_dir"/ps-[01].log ||
        fail_log ps-0 "neither ps says that step $newest cannot be used"
    expect_log ps-0 "going on from the checkpoint of step $((10#${whole[1]##*-}))"
done

begin "checkpoints of another training are refused"
cp -r "$scratch/checkpoints" "$case_dir/checkpoints"
keep_checkpoints
options+=(--seed 6)
describe 2 3
start_all 2 3
await_end worker-0 2
expect_log worker-0 "are of another training: seed is 6 here, but 1 in the job; use another folder"

finish
