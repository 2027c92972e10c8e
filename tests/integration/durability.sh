#!/bin/bash
# The durability level `log` with real daemons: a ps that is killed and started again has lost no update that it
# acknowledged, in any mode.
#
# Usage: durability.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130
steps=$(scaled 600)
options=(--data-folder "$scratch/data" --optimizer adam --learning-rate 0.001 --steps "$steps" --batch-size 20)
more=()

start_ps() {
    start_again "ps-$1" "$(task "$cluster" ps "$1")" "$ps" "${ps_options[@]}"
}

start_worker() {
    start_again "worker-$1" "$(task "$cluster" worker "$1")" "$worker" --output-dir "$case_dir/outputs" \
        "${options[@]}" "${more[@]}"
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
    cluster=$(dense 2 3)
    for ((i = 0; i < 2; i++)); do start_ps "$i"; done
    for ((i = 0; i < 3; i++)); do start_worker "$i"; done
}

kill_hard() {
    local name
    for name in "$@"; do
        kill -KILL "${pids[$name]}" || fail "$name has ended before it was killed"
        wait "${pids[$name]}" 2>/dev/null
        unset "pids[$name]"
    done
}

keep_log() {
    ps_options=(--checkpoint-dir "$case_dir/checkpoints" --checkpoint-steps "$1" --durability log)
}

# Has the ps had so many checkpoints written, over all its lives?
has_checkpoints() {
    (($(grep -c 'checkpoint of step' "$case_dir/$1.log") >= $2))
}

# Segments of a ps's log, oldest first.
segments() {
    find "$case_dir/checkpoints/log/ps-$1-of-2" -name '*.log' 2>/dev/null | sort
}

segments_reach() {
    local newest
    newest=$(segments "$1" | tail -n 1)
    newest=$(basename "${newest:-0}" .log)
    ((10#$newest >= $2))
}

# At least so many bytes have been logged since the last checkpoint.
has_logged() {
    local newest
    newest=$(segments "$1" | tail -n 1)
    [ -n "$newest" ] && (($(stat -c %s "$newest" 2>/dev/null || echo 0) >= $2))
}

# Updates are as many as the workers say that they have had acknowledged: none is lost, none counts twice.
expect_exact_count() {
    local acknowledged=0 of i
    for i in 0 1 2; do
        of=$(sed -nE 's/.* ([0-9]+) steps pushed and acknowledged.*/\1/p' "$case_dir/worker-$i.log" | tail -n 1)
        [ -n "$of" ] || fail_log "worker-$i" "worker-$i does not say how many steps it has done"
        acknowledged=$((acknowledged + ${of:-0}))
    done
    for i in 0 1; do
        expect_log "ps-$i" "the weights have seen $acknowledged updates"
    done
}

begin "the level needs a folder, and has a name"
one='{"ps": ["127.0.0.1:1"], "worker": ["w:1"]}'
run_program folder 2 env "TF_CONFIG=$(task "$one" ps 0)" "$ps" --durability log
expect_log folder "--durability log needs --checkpoint-dir, where the log is kept"
run_program name 2 env "TF_CONFIG=$(task "$one" ps 0)" "$ps" --durability raft
expect_log name "--durability 'raft' is none of: checkpoint, log"

begin "without faults and without a log"
ps_options=()
start_all
await_all
keep_model plain
cp "$case_dir/plain.safetensors" "$scratch/plain.safetensors"

begin "synchronous: ps are killed three times each, nobody goes back, and the bits are the same"
keep_log 1000000
start_all
for ((round = 1; round <= 3; round++)); do
    for victim in 0 1; do
        await has_logged "$victim" $((round * 1000000 * scale / 100)) || break 2
        kill_hard "ps-$victim"
        start_ps "$victim"
    done
done
await_all
keep_model killed
cp "$scratch/plain.safetensors" "$case_dir/plain.safetensors"
same_model plain killed
for i in 0 1; do
    expect_log "ps-$i" "the log brought"
    ! log_says "ps-$i" "going back" || fail_log "ps-$i" "ps-$i has gone back"
    expect_log "ps-$i" "the weights have seen $steps updates"
done
for i in 0 1 2; do
    ! log_says "worker-$i" "training goes back" || fail_log "worker-$i" "worker-$i has gone back"
done
expect test ! -e "$case_dir/checkpoints/log/ps-0-of-2"

for mode in "--mode async" "--mode ssp --staleness 3"; do
    begin "$mode: ps are killed six times, a worker once, and every acknowledged update is in the weights, once"
    # All of it early: nothing holds a worker back, and none may have ended before what is done to it.
    keep_log $((steps / 10 + 1))
    # shellcheck disable=SC2206 # options are words
    more=($mode --steps $((2 * steps)))
    start_all
    for ((round = 1; round <= 3; round++)); do
        for victim in 0 1; do
            await segments_reach "$victim" $((2 * round)) || break 2
            kill_hard "ps-$victim"
            start_ps "$victim"
        done
        ((round == 1)) || continue
        kill_hard worker-1
        start_worker 1
    done
    await_all
    expect_exact_count
done

begin "a ps whose log finds no room says so and ends with 138; with room it goes on, and nothing is lost"
keep_log 1000000
ps_options+=(--no-shared-memory) # whose files the limit would be for too
more=(--mode async)
printf '#!/bin/bash\nulimit -f 2000\nexec %q "$@"\n' "$ps" >"$case_dir/limited-ps"
chmod +x "$case_dir/limited-ps"
unlimited=$ps
ps=$case_dir/limited-ps
cluster=$(dense 2 3)
start_ps 0
ps=$unlimited
start_ps 1
for i in 0 1 2; do start_worker "$i"; done
await_end ps-0 138
expect_log ps-0 "no update can be acknowledged any more: cannot write to $case_dir/checkpoints/log/ps-0-of-2/"
start_ps 0
await_all
expect_exact_count

begin "a log that cannot be read ends its ps, but no worker; once it can be, training goes on, and nothing is lost"
keep_log 1000000
more=(--mode async)
start_all
await has_logged 0 $((1000000 * scale / 100))
kill_hard ps-0
log=$(segments 0 | head -n 1)
mv "$log" "$case_dir/aside"
mkdir "$log"
start_ps 0
await_end ps-0 138
expect_log ps-0 "the log of updates cannot be read now: "
rmdir "$log"
cp "$case_dir/aside" "$log"
printf '\377' | dd of="$log" bs=1 seek=100 conv=notrunc status=none
start_ps 0
await_end ps-0 3
expect_log ps-0 "the log of updates is of no use: $log: record 2 at offset 64: its head is damaged; mend that"
cp "$case_dir/aside" "$log"
start_ps 0
await_all
expect_exact_count

begin "a ps without a log does not pass over one that is there"
keep_log 1000000
more=()
start_all
await has_logged 0 100000
kill_hard ps-0
run_program forgetful 2 env "TF_CONFIG=$(task "$cluster" ps 0)" "$ps" --checkpoint-dir "$case_dir/checkpoints"
expect_log forgetful "holds updates that may be in no checkpoint: start with --durability log, or remove it"

finish
