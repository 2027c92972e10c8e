#!/bin/bash
# Every mode and every form of cluster, with daemons started by hand: all end with 0, and the model has learnt.
#
# Usage: modes.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130
# Without momentum: without a barrier each push applies at the full rate and late, and momentum adds to that;
# together they overshoot on some schedules (Mitliagkas et al. 2016), which says nothing of the mode.
options=(--data-folder "$scratch/data" --optimizer sgd --learning-rate 0.1 --steps "$(scaled 60)")

# The last test of the model that a process logged: "91.50 0.2713", accuracy in percent and loss.
last_evaluation() {
    sed -nE 's/.*test accuracy ([0-9.]+) %, loss ([0-9.]+).*/\1 \2/p' "$case_dir/$1.log" | tail -n 1
}

# Knowing nothing is a loss of ln 10 = 2.30 and an accuracy of 10 %.
expect_learnt() {
    local accuracy loss
    read -r accuracy loss <<<"$(last_evaluation "$1")"
    awk -v a="${accuracy:-0}" -v l="${loss:-9}" 'BEGIN { exit !(a > 60 && l < 1.5) }' ||
        fail_log "$1" "$1 tested the model at ${accuracy:-?} %, loss ${loss:-?}"
}

expect_model() {
    local size
    size=$(stat -c %s "$case_dir/outputs/model/model.safetensors" 2>/dev/null)
    # 144 x 300 + 300 x 100 + 100 x 10 kernels, 410 biases, 4 bytes each, and a header.
    ((${size:-0} > 298440)) || fail "the model file has ${size:-no} bytes"
    expect [ -s "$case_dir/outputs/model/model.json" ]
}

# ends_well CHIEF   everything started ends with 0, and what CHIEF wrote has learnt.
ends_well() {
    await_all
    expect_model
    expect_learnt "$1"
}

for mode in "sync" "sync --backup-workers 1" "ssp --staleness 2" "async"; do
    begin "--mode $mode: 2 ps and 3 workers"
    # shellcheck disable=SC2086 # two options in one word
    start_cluster "$(dense 2 3)" 2 3 "${options[@]}" --mode $mode
    ends_well worker-0
    expect [ "$(grep -l "the job has finished" "$case_dir"/ps-*.log | wc -l)" = 2 ]
done

# Everything that a cluster of 2 ps, a chief called $1, 1 worker and 1 evaluator starts.
start_chief_cluster() {
    local cluster
    cluster="{\"ps\": [$(listening 2)], \"$1\": [\"chief.example:2222\"], \"worker\": [\"worker-0.example:2222\"],
        \"evaluator\": [\"evaluator.example:2222\"]}"
    start_task "$1" "$(task "$cluster" "$1" 0)" "$worker" --output-dir "$case_dir/outputs" "${options[@]}"
    start_task evaluator "$(task "$cluster" evaluator 0)" "$worker" --output-dir "$case_dir/none" "${options[@]}"
    start_cluster "$cluster" 2 1 "${options[@]}"
}

for chief in chief master; do
    begin "a cluster with a task '$chief' and an evaluator"
    start_chief_cluster "$chief"
    ends_well "$chief"
    expect_learnt evaluator
    expect_log evaluator "version "
    expect [ ! -e "$case_dir/none" ]
done

begin "the evaluator tests the very weights that the chief saves"
start_chief_cluster chief
await_all
expect [ -n "$(last_evaluation chief)" ]
expect [ "$(last_evaluation evaluator)" = "$(last_evaluation chief)" ]

begin "Kubeflow's dynamic workers: each sees all ps and itself, a ps only itself, as list or dictionary"
mapfile -t ports < <("$tools/free_ports" 2)
all_ps="\"127.0.0.1:${ports[0]}\", \"127.0.0.1:${ports[1]}\""
start_task ps-0 "$(task "{\"worker\": {}, \"ps\": [\"127.0.0.1:${ports[0]}\"]}" ps 0)" "$ps"
start_task ps-1 "{\"sparseCluster\": {\"worker\": {}, \"ps\": {\"1\": \"127.0.0.1:${ports[1]}\"}},
    \"task\": {\"type\": \"ps\", \"index\": 1}}" "$ps"
for i in 0 1 2; do
    start_task "worker-$i" \
        "$(task "{\"worker\": {\"$i\": \"worker-$i.example:2222\"}, \"ps\": [$all_ps]}" worker "$i")" \
        "$worker" --output-dir "$case_dir/outputs" "${options[@]}" --workers 3
done
ends_well worker-0

begin "a ps of a higher index may stand alone in a list, and the index may be text"
mapfile -t ports < <("$tools/free_ports" 2)
all_ps="\"127.0.0.1:${ports[0]}\", \"127.0.0.1:${ports[1]}\""
for i in 0 1; do
    start_task "ps-$i" "$(task "{\"worker\": {}, \"ps\": [\"127.0.0.1:${ports[$i]}\"]}" ps "\"$i\"")" "$ps"
done
start_task worker-0 "$(task "{\"worker\": {\"0\": \"worker-0.example:2222\"}, \"ps\": [$all_ps]}" worker 0)" \
    "$worker" --output-dir "$case_dir/outputs" "${options[@]}" --workers 1
ends_well worker-0

begin "a sparse cluster does not tell the number of workers: that must be said"
start_task worker-0 "$(task "{\"worker\": {\"0\": \"worker-0.example:2222\"}, \"ps\": [$all_ps]}" worker 0)" \
    "$worker" --output-dir "$case_dir/outputs" "${options[@]}"
await_end worker-0 2
expect_log worker-0 "the cluster spec does not tell the number of workers"

begin "commas before closing brackets are warned about, and refused only with --strict"
cluster="{\"ps\": [$(listening 1),], \"worker\": [\"worker-0.example:2222\",],}"
start_task refused "$(task "$cluster" worker 0)" "$worker" "${options[@]}" --strict
await_end refused 2
start_cluster "$cluster" 1 1 "${options[@]}"
ends_well worker-0
expect_log worker-0 "comma"
expect_log ps-0 "comma"

begin "a whole cluster by --cluster and --task, from a file, without TF_CONFIG"
dense 1 1 >"$case_dir/cluster.json"
start ps-0 "$ps" --cluster "$case_dir/cluster.json" --task ps:0
start worker-0 "$worker" --cluster "$case_dir/cluster.json" --task worker:0 \
    --output-dir "$case_dir/outputs" "${options[@]}"
ends_well worker-0

begin "a worker alone, without a cluster"
start worker-0 "$worker" --output-dir "$case_dir/outputs" "${options[@]}"
ends_well worker-0

finish
