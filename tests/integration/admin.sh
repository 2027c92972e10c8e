#!/bin/bash
# `penstock admin` at real daemons: checkpoints of a step that all ps choose alike, and jobs that end before their
# time, also where ps 0 is killed meanwhile; and who may order it.
#
# Usage: admin.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 600
options=(--data-folder "$scratch/data" --hidden 20 --evaluate-every 0)
endless=("${options[@]}" --epochs 1000000)
keys=$scratch/keys
"$launcher" keygen "$keys" --workers 2 >/dev/null || fail "keygen ended with $?"

# admin NAME CODE ACTION OPTION...   at the cluster's ps.
admin() {
    local addresses
    mapfile -t addresses < <(grep -o '127\.0\.0\.1:[0-9]*' <<<"$cluster")
    run_program "$1" "$2" "$launcher" admin "$3" "${addresses[@]}" "${@:4}"
}

# said NAME   the last number that the command has printed.
said() {
    grep -oE '[0-9]+' "$case_dir/$1.log" | tail -n 1
}

# is_whole STEP   the ps have a checkpoint of it.
is_whole() {
    "$launcher" checkpoints list "$case_dir/cuts" | grep -qE "^ +$1 +[0-9]+ +[0-9]+ +[a-z]+ +whole$"
}

# begin_training MODE OPTION...   2 ps that keep checkpoints when they are told to alone, and 2 workers.
begin_training() {
    cluster=$(dense 2 2)
    ps_options=(--checkpoint-dir "$case_dir/cuts" --checkpoint-steps 0 --lease-secs 2)
    start_cluster "$cluster" 2 2 "${endless[@]}" --mode "$@"
    await_log ps-0 "worker 1 joined"
    await has_trained
}

# has_trained   the workers are well under way: they say so every few seconds, the ps when asked.
has_trained() {
    "$launcher" admin checkpoint --timeout 60 $(grep -o '127\.0\.0\.1:[0-9]*' <<<"$cluster") >/dev/null 2>&1
}

# stands_still_between_steps   worker 1 does; amid a push it would leave the ps a step apart.
stands_still_between_steps() {
    kill -STOP "${pids[worker-1]}"
    "$launcher" admin checkpoint --timeout 5 $(grep -o '127\.0\.0\.1:[0-9]*' <<<"$cluster") \
        >"$case_dir/checkpoint.log" 2>&1 && return
    kill -CONT "${pids[worker-1]}"
    return 1
}

begin "a checkpoint is kept when somebody asks for it, and the job ends when somebody says so, as if that were its end"
begin_training sync
admin checkpoint 0 checkpoint
expect is_whole "$(said checkpoint)"
admin again 0 checkpoint --timeout 300
expect is_whole "$(said again)"
expect [ "$(said again)" -gt "$(said checkpoint)" ]
admin stop 0 stop
end=$(said stop)
await_all
keep_model stopped
expect is_whole "$end"
expect_log ps-0 "an administrator ends the job: after step $end"
for i in 0 1; do expect_log "worker-$i" "$end steps pushed and acknowledged"; done
ps_options=()
train planned 2 2 "${options[@]}" --steps "$end"
same_model stopped planned

for mode in ssp async; do
    begin "so it is with $mode, where each worker ends with the step that it has under way"
    begin_training "$mode"
    admin checkpoint 0 checkpoint
    expect is_whole "$(said checkpoint)"
    admin stop 0 stop
    expect_log stop "each worker with the step that it has under way"
    await_all
    keep_model stopped
done

begin "where a worker stands still the present step is kept at once; the end waits, and outlives a ps that is killed"
begin_training sync
await stands_still_between_steps
expect is_whole "$(said checkpoint)"
admin stop 0 stop
end=$(said stop)
expect [ "$end" -gt "$(said checkpoint)" ]
kill -KILL "${pids[ps-0]}"
await has_ended ps-0
start_task ps-0 "$(task "$cluster" ps 0)" "$ps" "${ps_options[@]}"
await_log ps-0 "worker 0 joined"
kill -CONT "${pids[worker-1]}"
await_all
for i in 0 1; do expect_log "worker-$i" "an administrator ends the job: after step $end"; done
expect is_whole "$end"
keep_model stopped
ps_options=()
train planned 2 2 "${options[@]}" --steps "$end"
same_model stopped planned

begin "who may not is told so, and nothing happens"
cluster=$(dense 2 2)
mkdir "$case_dir/forged"
cp -p "$keys/worker-1.key" "$case_dir/forged/admin.key"
cp -p "$keys/admin.key" "$case_dir/forged/worker-1.key"
cp -p "$keys/ps.pub" "$case_dir/forged"
ps_options=(--curve-keys "$keys")
start_cluster "$cluster" 2 2 "${endless[@]}" --curve-keys "$keys"
await_log ps-0 "worker 1 joined"
admin worker 2 stop --curve-keys "$case_dir/forged"
expect_log worker "STOP as administrator 0, but its key is of worker, index 1"
start_task admin "$(task "$cluster" worker 1)" "$worker" --output-dir "$case_dir/none" "${endless[@]}" \
    --curve-keys "$case_dir/forged"
await_end admin 2
expect_log admin "as worker 1, but its key is of administrator, any index"
# Which of two that speak differently notices first is chance.
"$launcher" admin stop $(grep -o '127\.0\.0\.1:[0-9]*' <<<"$cluster") >"$case_dir/keyless.log" 2>&1 </dev/null
code=$?
expect [ "$code" = 2 -o "$code" = 138 ]
expect_log keyless "it asks for keys (--curve-keys)"
admin unkept 2 checkpoint --curve-keys "$keys"
expect_log unkept "keeps no checkpoints (--checkpoint-dir)"
for i in 0 1; do expect is_running "worker-$i"; done
expect [ "$(grep -c 'an administrator' "$case_dir/ps-0.log")" = 0 ]
admin stop 0 stop --curve-keys "$keys"
await_all
ps_options=()

begin "what is asked for wrongly, or of nobody, is refused"
run_program none 2 "$launcher" admin
run_program which 2 env -u TF_CONFIG "$launcher" admin stop
expect_log which "which cluster?"
run_program what 2 "$launcher" admin reboot
expect_log what "'reboot' is none of checkpoint, stop"
run_program address 2 "$launcher" admin stop nowhere
run_program both 2 "$launcher" admin stop 127.0.0.1:2 --run-dir "$case_dir"
run_program run 2 "$launcher" admin stop --run-dir "$case_dir/none"
run_program keys 2 "$launcher" admin stop 127.0.0.1:2 --curve-keys "$case_dir"
expect_log keys "admin.key"
run_program nobody 138 "$launcher" admin stop "127.0.0.1:$("$tools/free_ports" 1)" --timeout 1
expect_log nobody "it does not answer"
cluster=$(dense 2 1)
for i in 0 1; do start_task "ps-$i" "$(task "$cluster" ps "$i")" "$ps"; done
for i in 0 1; do await_log "ps-$i" "listening on"; done
admin early 138 checkpoint --timeout 5
expect_log early "has no job yet"
mapfile -t swapped < <(grep -o '127\.0\.0\.1:[0-9]*' <<<"$cluster" | tac)
run_program swapped 2 "$launcher" admin stop "${swapped[@]}"
expect_log swapped "at the address of ps/0 answers another process: ps/1"
finish
