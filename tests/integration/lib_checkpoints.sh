# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # for those that source this; lib.sh sets the others
# lib_checkpoints.sh - for tests of what ps keep on disk: to be sourced after lib.sh. Brings the functions of
# lib_restarts.sh, a training, of so many steps as are set before, and its model without faults.
# shellcheck source=tests/integration/lib_restarts.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib_restarts.sh"

make_data "$scratch/data" 1130
steps=$(scaled "${steps:-2500}")
checkpoint_steps=$((steps / 50 + 1))
options=(--data-folder "$scratch/data" --optimizer adam --learning-rate 0.001 --steps "$steps" --batch-size 20)

keep_checkpoints() {
    ps_options=(--checkpoint-dir "${1:-$case_dir/checkpoints}" --checkpoint-steps "$checkpoint_steps")
}

# The folders of cuts in $case_dir/checkpoints of which both ps have a shard, newest first.
whole_cuts() {
    local cut
    for cut in "$case_dir"/checkpoints/step-*; do
        [ -e "$cut/ps-0-of-2.json" ] && [ -e "$cut/ps-1-of-2.json" ] && echo "$cut"
    done | sort -r
}

begin "without faults"
train plain 2 3 "${options[@]}"
cp "$case_dir/plain.safetensors" "$scratch/plain.safetensors"
