#!/bin/bash
# What real processes leave to be looked at: logs as JSON, event files for TensorBoard.
#
# Usage: observation.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 300
options=(--data-folder "$scratch/data" --batch-size 20 --hidden 16 --epochs 2)

begin "penstock run --log-format json: every line of every log is one object that says whose it is"
run_program run 0 "$launcher" run --ps 1 --workers 2 --run-dir "$case_dir/run" --log-format json -- "${options[@]}"
for who in "ps 0" "worker 0" "worker 1"; do
    read -r role index <<<"$who"
    log=$case_dir/run/logs/$role-$index.log
    # Before the cluster spec is read a process knows its role alone.
    pattern='^\{"time":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z","level":"(info|warning)","role":"'$role'"'
    pattern+='(,"index":'$index')?(,"event":"[a-z_]+")?(,"step":[0-9]+)?,"text":".*"\}$'
    expect [ -s "$log" ]
    strangers=$(grep -Evc "$pattern" "$log")
    [ "$strangers" = 0 ] || fail "$strangers lines of $log are not such objects: $(grep -Ev "$pattern" "$log" | head -n 1)"
done
expect grep -q '"index":0,"event":"evaluation","step":[0-9]*,"text":"epoch 1: test accuracy' "$case_dir/run/logs/worker-0.log"
expect grep -q '"event":"finished","text":"the job has finished"' "$case_dir/run/logs/ps-0.log"

begin "penstock run --logdir: what TensorBoard is shown is what the log says"
run_program run 0 "$launcher" run --ps 1 --workers 2 --run-dir "$case_dir/run" --logdir "$case_dir/board" -- "${options[@]}"
files=("$case_dir"/board/*)
expect [ "${#files[@]}" = 1 ] # the chief's alone
expect "$tools/read_events" "${files[0]}" >"$case_dir/events"
expect grep -qx '1 start' "$case_dir/events"
expect grep -qx '0 options text' "$case_dir/events"
expect grep -qx '0 model text' "$case_dir/events"
mapfile -t shown < <(awk '$2 == "accuracy/test" { printf "%.2f\n", 100 * $3 }' "$case_dir/events")
mapfile -t logged < <(sed -nE 's/.*: test accuracy ([0-9.]+) %.*/\1/p' "$case_dir/run/logs/worker-0.log")
expect [ "${#shown[@]}" = 2 ]
expect [ "${shown[*]}" = "${logged[*]}" ]
expect [ "$(grep -c ' weights/dense1/kernel histogram 2304$' "$case_dir/events")" = 2 ]
expect [ "$(grep -c ' gradients/output/bias histogram 10$' "$case_dir/events")" = 2 ]

begin "a folder for TensorBoard that cannot be made ends the chief, who names it"
: >"$case_dir/taken"
cluster=$(dense 1 1)
start_task ps-0 "$(task "$cluster" ps 0)" "$ps"
start_task worker-0 "$(task "$cluster" worker 0)" "$worker" --output-dir "$case_dir/outputs" --logdir "$case_dir/taken/board" \
    "${options[@]}"
await_end worker-0 1
expect_log worker-0 "$case_dir/taken"

finish
