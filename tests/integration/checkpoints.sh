#!/bin/bash
# Disks of real daemons that fail: training goes on meanwhile, and ends with the same bits; and checkpoints by time.
#
# Usage: checkpoints.sh BUILD_FOLDER
#
# Full and read-only disks are small memory file systems, and need the right to mount; errors of single system
# calls need strace. What is not there is left out, and said so.
# shellcheck disable=SC2317 # functions are called by name
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_checkpoints.sh
source "$(dirname "$0")/lib_checkpoints.sh"

trap 'kill_all; umount -l "$scratch"/case.*/disk 2>/dev/null; rm -rf "$scratch"' EXIT

leave_out() {
    echo "  left out: $*"
}

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
