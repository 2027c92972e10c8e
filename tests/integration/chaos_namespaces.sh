#!/bin/bash
# `penstock chaos --net namespaces` with real daemons on small data: packets lost, late and overtaken, connections reset,
# the same model; and what is left of it when it is killed. Skipped, with the reason, where it has not the right.
#
# Usage: chaos_namespaces.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130
options=(--data-folder "$scratch/data" --steps "$(scaled 4000)" --batch-size 20)

chaos() {
    local name=$1 code=$2
    shift 2
    run_program "$name" "$code" "$launcher" chaos --run-dir "$case_dir/run" --ps 2 --workers 2 "$@" -- "${options[@]}"
}

reports() {
    grep -qE -- "$1" "$case_dir/report.json" || fail "the report does not say '$1': $(cat "$case_dir/report.json")"
}

begin "without the right it says what is missing, and that a proxy needs none"
forbidden() {
    unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_net_namespaces && exec "$@"' sh "$@"
}
if forbidden true 2>/dev/null; then
    run_program mistake 2 forbidden "$launcher" chaos --net namespaces --run-dir "$case_dir/run" -- "${options[@]}"
    expect_log mistake "--net namespaces: "
    expect_log mistake "; --net proxy, the default, needs no right"
    [ ! -e "$case_dir/run" ] || fail "a folder was made"
fi

begin "packets cannot be lost by a proxy"
for kind in '"loss", "percent": 1' '"reorder", "percent": 1, "delay_ms": 1'; do
    echo "[{\"at\": {\"step\": 1}, \"target\": \"ps-0\", \"for\": 1, \"do\": $kind}]" >"$case_dir/plan.json"
    chaos mistake 2 "$case_dir/plan.json"
    expect_log mistake "fault 1: '${kind:1:4}"
    expect_log mistake "needs --net namespaces"
    chaos mistake 2 --net bridge "$case_dir/plan.json"
    expect_log mistake "--net: 'bridge' is none of proxy, namespaces"
    chaos mistake 2 --bandwidth 1G "$case_dir/plan.json"
    expect_log mistake "--latency-ms and --bandwidth need --net namespaces"
done

# What is missing here, if anything is, says the program itself.
echo '[]' >"$case_dir/plan.json"
lacking=$("$launcher" chaos --net namespaces --ps 1 --workers 1 --run-dir "$case_dir/probe" "$case_dir/plan.json" -- \
    --data-folder "$scratch/data" --steps 2 2>&1)
if [[ $? == 2 && $lacking == *"--net proxy, the default, needs no right"* ]]; then
    echo "skipped: ${lacking##*--net namespaces: }"
    [ "$failures" = 0 ] && exit 77
    finish
fi

begin "every kind of fault of links, and the same model"
cat >"$case_dir/plan.json" <<'PLAN'
[{"at": {"fraction": 0.05}, "do": "loss", "target": "ps-0", "for": 2, "percent": 5},
 {"at": {"fraction": 0.1}, "do": "reset", "target": "worker-1"},
 {"at": {"fraction": 0.2}, "do": "delay", "target": "ps-1", "for": 0.5, "delay_ms": 5, "jitter_ms": 5},
 {"at": {"fraction": 0.3}, "do": "partition", "target": "worker-0/ps-1", "direction": "up", "for": 0.3},
 {"at": {"fraction": 0.4}, "do": "partition", "target": "worker-1", "direction": "down", "for": 0.3},
 {"at": {"fraction": 0.5}, "do": "reorder", "target": "worker-0", "for": 2, "percent": 40, "delay_ms": 3},
 {"at": {"fraction": 0.6}, "do": "blackhole", "target": "ps-0", "for": 0.3},
 {"at": {"fraction": 0.7}, "do": "throttle", "target": "worker-1/ps-1", "for": 0.5, "bytes_per_s": 1000000},
 {"at": {"fraction": 0.75}, "do": "kill", "target": "ps-0"},
 {"at": {"fraction": 0.85}, "do": "reset", "target": "ps-1"}]
PLAN
chaos chaos 0 --net namespaces --report "$case_dir/report.json" "$case_dir/plan.json"
expect_log chaos "verdict         passed: the same model"
reports '"same_model": true'
reports '"shared_memory": false'
reports '"rows_lost": 0, "rows_applied_twice": 0'
reports '"network": \{"net": "namespaces", "latency_ms": 0, "bytes_per_s": 0, "bytes": [1-9][0-9]*, "connections": [1-9][0-9]*, "resets": [1-9]'
reports '"packets_lost": [1-9][0-9]*, "packets_overtaken": [1-9]'
cmp "$case_dir/run/plain/outputs/model/model.safetensors" "$case_dir/run/faults/outputs/model/model.safetensors" ||
    fail "the models differ"
grep -q '10\.83\.0\.1:' "$case_dir/run/faults/tf_config/worker-0.json" || fail "it has not trained in namespaces"

begin "nothing is left of a run that is killed"
options=(--data-folder "$scratch/data" --epochs 100000 --batch-size 20) # it does not end by itself
echo '[{"at": {"step": 3}, "do": "stop", "target": "worker-1", "for": 600}]' >"$case_dir/plan.json"
start chaos "$launcher" chaos --net namespaces --ps 1 --workers 2 --run-dir "$case_dir/run" \
    --expect "$(printf '0%.0s' {1..64})" "$case_dir/plan.json" -- "${options[@]}"
has_stopped() {
    local child
    for child in $(cat "/proc/${pids[chaos]}/task/${pids[chaos]}/children"); do
        grep -q '^State:.T' "/proc/$child/status" 2>/dev/null && return
    done
    return 1
}
await has_stopped
read -ra children <"/proc/${pids[chaos]}/task/${pids[chaos]}/children"
mapfile -t spaces < <(for child in "${children[@]}"; do readlink "/proc/$child/ns/net"; done | sort -u)
[ "${#spaces[@]}" -ge 3 ] || fail "processes share namespaces: ${spaces[*]}"
kill -KILL "${pids[chaos]}"
wait "${pids[chaos]}" 2>/dev/null
unset "pids[chaos]"
are_gone() {
    local child
    for child in "${children[@]}"; do
        [ ! -e "/proc/$child" ] || return 1
    done
}
await are_gone
own=$(readlink /proc/self/ns/net)
for space in "${spaces[@]}"; do
    [ "$space" = "$own" ] || ! readlink /proc/[0-9]*/ns/net | grep -qxF "$space" || fail "$space is still in use"
done

finish
