#!/bin/bash
# Disks of real daemons that fail, and checkpoints that are damaged: training goes on meanwhile, and ends with
# the same bits.
#
# Usage: checkpoints.sh BUILD_FOLDER
#
# Full and read-only disks are small memory file systems, and need the right to mount; errors of single system
# calls need strace. What is not there is left out, and said so.
# shellcheck disable=SC2317 # functions are called by name
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_restarts.sh
source "$(dirname "$0")/lib_restarts.sh"

trap 'kill_all; umount -l "$scratch"/case.*/disk 2>/dev/null; rm -rf "$scratch"' EXIT

make_data "$scratch/data" 1130
steps=$(scaled 2500)
checkpoint_steps=$((steps / 50 + 1))
options=(--data-folder "$scratch/data" --optimizer adam --learning-rate 0.001 --steps "$steps" --batch-size 20)

keep_checkpoints() {
    ps_options=(--checkpoint-dir "${1:-$case_dir/checkpoints}" --checkpoint-steps "$checkpoint_steps")
}

leave_out() {
    echo "  left out: $*"
}

begin "without faults"
train plain 2 3 "${options[@]}"
cp "$case_dir/plain.safetensors" "$scratch/plain.safetensors"

# ---- disks that fail --------------------------------------------------------------------------------

# As many as failed, by the last line of a ps.
failed_of() {
    sed -nE 's/.*checkpoints written; ([0-9]+) failed.*/\1/p' "$case_dir/$1.log"
}

# expect_few_complaints NAME MOST   the log names failures, but not each of them.
expect_few_complaints() {
    local said failed
    said=$(grep -c "could not be written" "$case_dir/$1.log")
    failed=$(failed_of "$1")
    ((said >= 1 && said <= $2 && failed >= said)) || fail_log "$1" "$1 has $said complaints of ${failed:-no} failures"
}

writes_again() {
    await_log "$1" "checkpoints can be written again, after"
}

# A disk of its own for checkpoints, of so many KiB.
make_disk() {
    mkdir "$case_dir/disk"
    mount -t tmpfs -o "size=$1k" penstock-test "$case_dir/disk" 2>/dev/null
}

begin "a disk that is full for a while, and then read-only"
if make_disk 24000; then
    keep_checkpoints "$case_dir/disk/checkpoints"
    describe 2 3
    start_all 2 3
    await has_checkpoint_from ps-0 1
    await has_checkpoint_from ps-1 1
    # Until nothing fits any more; old checkpoints are replaced in between, so several times.
    is_noticed() {
        cat /dev/zero >>"$case_dir/disk/ballast" 2>/dev/null
        log_says "$1" "No space left on device"
    }
    await is_noticed ps-0
    await is_noticed ps-1
    rm "$case_dir/disk/ballast"
    writes_again ps-0
    writes_again ps-1
    # Fails as long as a file is being written.
    await mount -o remount,ro "$case_dir/disk" 2>/dev/null
    await_log ps-0 "Read-only file system"
    mount -o remount,rw "$case_dir/disk"
    ends_with_the_same_bits full
    expect_few_complaints ps-0 8
    expect_few_complaints ps-1 8
    umount "$case_dir/disk"
else
    leave_out "file systems cannot be mounted here"
fi

# faulty CALLS ERROR   what ps-1 is started with: from the 12th use of these system calls on, 20 fail.
faulty() {
    faulty=(strace -D -f -qq --seccomp-bpf -o /dev/null -e "trace=$1" -e "inject=$1:error=$2:when=12..31")
}

can_trace() {
    command -v strace >/dev/null && strace -f -qq --seccomp-bpf -o /dev/null -e trace=fsync true 2>/dev/null
}

if can_trace; then
    for fault in fsync:EIO rename,renameat,renameat2:EIO; do
        begin "${fault%%[,:]*} fails with ${fault#*:} for a while"
        faulty "${fault%:*}" "${fault#*:}"
        keep_checkpoints
        describe 2 3
        start_ps 0
        # Leaks cannot be looked for in a traced process.
        ASAN_OPTIONS=detect_leaks=0 start_again ps-1 "$(task "$cluster" ps 1)" "${faulty[@]}" "$ps" "${ps_options[@]}"
        for ((i = 0; i < 3; i++)); do start_worker "$i"; done
        writes_again ps-1
        # What was written meanwhile is in no one's way.
        kill_hard ps-0
        start_ps 0
        ends_with_the_same_bits faulty
        expect_few_complaints ps-1 6
        expect_log ps-0 "going on from the checkpoint of step"
    done
else
    leave_out "there is no strace, or it may not trace"
fi

# ---- checkpoints that are damaged -------------------------------------------------------------------

begin "a job of which nothing is left but checkpoints"
keep_checkpoints "$scratch/checkpoints"
describe 2 3
start_all 2 3
await has_checkpoint_from ps-0 $((steps / 3))
await has_checkpoint_from ps-1 $((steps / 3))
kill_hard ps-0 ps-1 worker-0 worker-1 worker-2

# The folders of cuts in $case_dir/checkpoints of which both ps have a shard, newest first.
whole_cuts() {
    local cut
    for cut in "$case_dir"/checkpoints/step-*; do
        [ -e "$cut/ps-0-of-2.json" ] && [ -e "$cut/ps-1-of-2.json" ] && echo "$cut"
    done | sort -r
}

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
unset 'options[-1]' 'options[-1]'

# ---- by time ----------------------------------------------------------------------------------------

# Of both ps, though each has taken its images by its own clock.
has_whole_cut() {
    [ -n "$(whole_cuts)" ]
}

begin "checkpoints by time, without synchrony"
ps_options=(--checkpoint-dir "$case_dir/checkpoints" --checkpoint-secs 1)
options+=(--mode async --steps 1000000)
describe 2 3
start_all 2 3
await has_whole_cut
kill_hard ps-0 ps-1
start_ps 0
start_ps 1
await_log ps-0 "going on from the checkpoint of step"
await_log ps-1 "going on from the checkpoint of step"

finish
