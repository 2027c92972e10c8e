#!/bin/bash
# Workers and ps that share memory: the same bits as through the socket, nothing left of those that are killed, and
# the socket wherever memory cannot be shared.
#
# Usage: shared_memory.sh BUILD_FOLDER
# shellcheck disable=SC2317 # conditions are called by await
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130
# So small that a gradient is one message, which is whole or not there.
common=(--data-folder "$scratch/data" --evaluate-every 0 --hidden "20,10" --optimizer momentum --learning-rate 0.02)
short=(--steps "$(scaled 30)")
for_ever=(--steps 100000000)
shares="sharing memory"

# How many segments of others a process has mapped; its own it may write.
attached() {
    grep -c '^[^ ]* r--s .*/memfd:penstock' "/proc/${pids[$1]}/maps"
}

has_attached() {
    [ "$(attached "$1")" = "$2" ]
}

expect_no_log() {
    ! log_says "$1" "$2" || fail_log "$1" "$1 says '$2'"
}

# In all processes that end well, memory is shared, or in none.
expect_sharing() {
    local i
    for i in 0 1; do
        if [ "$1" = yes ]; then
            expect_log "worker-$i" "$shares"
        else
            expect_no_log "worker-$i" "$shares"
        fi
    done
}

begin "the same bits with shared memory, without it on either side, and without it on both"
train shared 2 2 "${common[@]}" "${short[@]}"
expect_sharing yes
train workers_refuse 2 2 "${common[@]}" "${short[@]}" --no-shared-memory
expect_sharing no
ps_options=(--no-shared-memory)
train ps_refuses 2 2 "${common[@]}" "${short[@]}"
expect_sharing no
train both_refuse 2 2 "${common[@]}" "${short[@]}" --no-shared-memory
expect_sharing no
ps_options=()
for other in workers_refuse ps_refuses both_refuse; do
    same_model shared "$other"
done

begin "a system without memory files goes through the socket, to the same bits"
cluster=$(dense 1 2)
start_task ps-0 "$(task "$cluster" ps 0)" "$tools/without_memfd" "$ps"
for i in 0 1; do
    start_task "worker-$i" "$(task "$cluster" worker "$i")" "$tools/without_memfd" "$worker" \
        --output-dir "$case_dir/outputs" "${common[@]}" "${short[@]}"
done
await_all
keep_model refused
expect_sharing no
train shared 1 2 "${common[@]}" "${short[@]}"
same_model shared refused

begin "memory of a killed worker is let go, and the worker that takes its place goes on"
cluster=$(dense 1 2)
start_cluster "$cluster" 1 2 "${common[@]}" "${for_ever[@]}" --mode async
for i in 0 1; do
    await_log "worker-$i" "$shares"
done
await has_attached ps-0 2
kill -KILL "${pids[worker-1]}"
wait "${pids[worker-1]}" 2>/dev/null
await has_attached ps-0 1
start_task worker-1 "$(task "$cluster" worker 1)" "$worker" "${common[@]}" "${for_ever[@]}" --mode async
await_log worker-1 "$shares"
await has_attached ps-0 2
expect_log ps-0 "worker 1 has restarted"
for i in 0 1; do
    kill -TERM "${pids[worker-$i]}"
    await_end "worker-$i" 143
done
await has_attached ps-0 0

begin "a synchronous step waits for the worker that takes the place of a killed one"
steps=$(scaled 6000)
cluster=$(dense 1 2)
start_cluster "$cluster" 1 2 "${common[@]}" --steps "$steps"
await_log worker-1 "$shares"
await has_attached ps-0 2
kill -KILL "${pids[worker-1]}"
wait "${pids[worker-1]}" 2>/dev/null
start_task worker-1 "$(task "$cluster" worker 1)" "$worker" "${common[@]}" --steps "$steps"
await_all
expect_log ps-0 "worker 1 has restarted"
keep_model killed
train whole 1 2 "${common[@]}" --steps "$steps"
same_model whole killed

begin "a killed ps leaves nothing behind, and the workers go on with the one in its place"
find /dev/shm -maxdepth 1 | sort >"$scratch/before"
cluster=$(dense 1 2)
start_cluster "$cluster" 1 2 "${common[@]}" "${for_ever[@]}" --mode async
for i in 0 1; do
    await_log "worker-$i" "$shares"
done
await has_attached worker-0 1
await_log worker-0 "of 100000000: loss" # else there may be no step to go back from
kill -KILL "${pids[ps-0]}"
wait "${pids[ps-0]}" 2>/dev/null
start_task ps-0 "$(task "$cluster" ps 0)" "$ps"
await has_attached ps-0 2
await_log worker-0 "training goes back to step 0"
await has_attached worker-0 1
for i in 0 1; do
    kill -TERM "${pids[worker-$i]}"
    await_end "worker-$i" 143
done
await has_attached ps-0 0
kill_all
find /dev/shm -maxdepth 1 | sort | comm -13 "$scratch/before" - >"$case_dir/left"
expect test ! -s "$case_dir/left"

if [ "$(id -u)" = 0 ]; then
    begin "processes of different users go through the socket and say why, to the same bits"
    readable=$case_dir/readable
    mkdir "$readable"
    cp "$ps" "$worker" "$readable"
    cp -r "$scratch/data" "$readable/data"
    chmod a+rx "$scratch" "$case_dir" "$readable" "$readable/data"
    mkdir "$case_dir/outputs"
    chmod a+rwx "$case_dir/outputs"
    options=("${common[@]}" "${short[@]}" --data-folder "$readable/data" --log-level debug)
    cluster=$(dense 1 2)
    start_task ps-0 "$(task "$cluster" ps 0)" setpriv --reuid 65533 --regid 65533 --clear-groups \
        "$readable/penstock-ps" --log-level debug
    for i in 0 1; do
        start_task "worker-$i" "$(task "$cluster" worker "$i")" setpriv --reuid 65534 --regid 65534 \
            --clear-groups "$readable/penstock-worker" --output-dir "$case_dir/outputs" "${options[@]}"
    done
    await_all
    keep_model users
    expect_sharing no
    expect_log ps-0 "cannot open memory of process"
    expect_log worker-0 "cannot open memory of process"
    train shared 1 2 "${common[@]}" "${short[@]}"
    same_model shared users
else
    echo "not root: processes of different users are not tried"
fi

finish
