#!/bin/bash
# `penstock run --restarts`: real processes are killed, started again by the launcher, and end with the same bits.
#
# Usage: restarts.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130
steps=$(scaled 6000)
options=(--data-folder "$scratch/data" --optimizer adam --learning-rate 0.001 --steps "$steps" --batch-size 20)

# run_in_background OPTION...   a run in $case_dir/run.
run_in_background() {
    start launcher "$launcher" run --run-dir "$case_dir/run" --bin-dir "$case_dir/bin" --ps 2 --workers 3 "$@" -- \
        "${options[@]}"
}

# Programs by names of this case alone, so that its processes can be told from others.
begin_run() {
    begin "$1"
    mkdir "$case_dir/bin"
    ln "$ps" "$worker" "$case_dir/bin/" 2>/dev/null || cp "$ps" "$worker" "$case_dir/bin/"
}

# The process of a task that runs now, by its TF_CONFIG.
process_of() {
    local type=${1%-*} index=${1#*-} process
    for process in $(pgrep -f "^$case_dir/bin/penstock-"); do
        grep -qzF "\"task\": {\"type\": \"$type\", \"index\": $index}" "/proc/$process/environ" 2>/dev/null &&
            echo "$process" && return
    done
    return 1
}

kill_task() {
    local process
    process=$(process_of "$1") && kill -KILL "$process"
}

nobody_left() {
    [ -z "$(pgrep -f "^$case_dir/bin/penstock-")" ]
}

ends_with_the_same_bits() {
    await_end launcher 0
    nobody_left || fail "processes are left: $(pgrep -af "^$case_dir/bin/penstock-")"
    cmp "$scratch/plain.safetensors" "$case_dir/run/outputs/model/model.safetensors" || fail "the models differ"
}

# Until a ps has written a checkpoint of at least that step.
has_checkpoint_from() {
    local newest
    newest=$(sed -nE 's/.*checkpoint of step ([0-9]+) written.*/\1/p' "$case_dir/run/logs/$1.log" | tail -n 1)
    ((${newest:-0} >= $2))
}

begin_run "without faults"
run_in_background
await_end launcher 0
[ ! -e "$case_dir/run/checkpoints" ] || fail "checkpoints were kept unasked"
cp "$case_dir/run/outputs/model/model.safetensors" "$scratch/plain.safetensors"

begin_run "one after the other is killed, and started again"
round=0
run_in_background --restarts 10 --checkpoint-steps $((steps / 40 + 1))
for victim in ps-1 worker-0 ps-0 worker-2; do
    await has_checkpoint_from ps-0 $((++round * steps / 6)) || break
    kill_task "$victim" || fail "$victim does not run"
done
ends_with_the_same_bits
for victim in ps-0 ps-1 worker-0 worker-2; do
    expect_log launcher "$victim ended with signal 9 (Killed); starting it again"
done

begin_run "a run that was killed as a whole goes on in its folder"
run_in_background --restarts 1 --checkpoint-steps $((steps / 40 + 1))
await has_checkpoint_from ps-1 $((steps / 3))
kill -KILL "${pids[launcher]}"
wait "${pids[launcher]}" 2>/dev/null
await nobody_left
run_in_background
ends_with_the_same_bits
expect_log launcher "going on from the checkpoint of step"

finish
