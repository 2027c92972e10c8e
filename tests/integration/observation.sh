#!/bin/bash
# What real processes leave to be looked at: logs as JSON.
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

finish
