#!/bin/bash
# `penstock chaos` with real daemons on small data: a plan of every kind of fault, what it reports, and what it refuses.
#
# Usage: chaos.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130
# Long enough for the faults to find it at work: what happens is reported every 200 ms only.
options=(--data-folder "$scratch/data" --steps "$(scaled 4000)" --batch-size 20)

chaos() {
    local name=$1 code=$2
    shift 2
    run_program "$name" "$code" "$launcher" chaos --run-dir "$case_dir/run" --report "$case_dir/report.json" "$@" -- \
        "${options[@]}"
}

reports() {
    grep -qF -- "$1" "$case_dir/report.json" || fail "the report does not say '$1': $(cat "$case_dir/report.json")"
}

for shared in true false; do
    begin "every kind of fault, with shared memory: $shared"
    cat >"$case_dir/plan.json" <<PLAN
{"shared_memory": $shared, "faults": [
  {"at": {"fraction": 0.05}, "do": "kill", "target": "ps-0"},
  {"at": {"fraction": 0.1}, "do": "reset", "target": "worker-1"},
  {"at": {"fraction": 0.15}, "do": "kill", "target": "worker-0"},
  {"at": {"fraction": 0.2}, "do": "disk_full", "target": "ps-0", "for": 0.3},
  {"at": {"fraction": 0.25}, "do": "stop", "target": "ps-1", "for": 0.3},
  {"at": {"fraction": 0.3}, "do": "blackhole", "target": "worker-0/ps-0", "for": 0.4},
  {"at": {"fraction": 0.4}, "do": "terminate", "target": "worker-1"},
  {"at": {"fraction": 0.45}, "do": "fsync_error", "target": "ps-1", "for": 0.3},
  {"at": {"step": 50}, "do": "delay", "target": "ps-1", "for": 0.5, "delay_ms": 5, "jitter_ms": 5},
  {"at": {"seconds": 0.5}, "do": "throttle", "target": "worker-1/ps-1", "for": 0.5, "bytes_per_s": 1000000},
  {"at": {"fraction": 0.6}, "do": "partition", "target": "worker-0/ps-1", "direction": "down", "for": 0.3}]}
PLAN
    chaos chaos 0 --ps 2 --workers 2 "$case_dir/plan.json"
    expect_log chaos "verdict         passed: the same model"
    reports '"passed": true, "hung": false'
    reports '"same_model": true'
    reports '"rows_lost": 0, "rows_applied_twice": 0'
    reports '"kill": {"planned": 2'
    grep -q '"with_faults".*"checkpoints": [1-9]' "$case_dir/report.json" || fail "no checkpoints are counted"
    ! grep -q 'could not be written' "$case_dir"/run/faults/logs/ps-*.log ||
        grep -q '"with_faults".*"checkpoints_failed": [1-9]' "$case_dir/report.json" || fail "no failures are counted"
    cmp "$case_dir/run/plain/outputs/model/model.safetensors" "$case_dir/run/faults/outputs/model/model.safetensors" ||
        fail "the models differ"
    [ "$(grep -c 'refused\|could not be written' "$case_dir/run/faults/logs/ps-0.log")" -gt 0 ] ||
        fail "ps-0 has noticed nothing"
done

begin "another model than the expected one fails"
echo '[]' >"$case_dir/plan.json"
chaos chaos 1 --ps 1 --workers 1 --expect "$(printf '0%.0s' {1..64})" "$case_dir/plan.json"
expect_log chaos "FAILED: another model"
reports '"passed": false'

begin "what does not end in time is ended, and counts as hung"
options=(--data-folder "$scratch/data" --epochs 100000 --batch-size 20) # it does not end by itself
echo '[{"at": {"seconds": 0}, "do": "stop", "target": "ps-0", "for": 600}]' >"$case_dir/plan.json"
chaos chaos 1 --ps 1 --workers 1 --deadline 3 --expect "$(printf '0%.0s' {1..64})" "$case_dir/plan.json"
expect_log chaos "FAILED: not at its end after 3 s"
reports '"hung": true'

begin "mistakes are refused before anything starts"
for mistake in "--seed x" "--faults -1" "--ps 0" "--workers 17" "--expect abc" "--within 101" "--deadline 0" "--unknown" \
    "--ps-option=--linger" \
    "nowhere.json" "one.json two.json"; do
    # shellcheck disable=SC2086 # several arguments
    run_program mistake 2 "$launcher" chaos --run-dir "$case_dir/run" $mistake -- "${options[@]}"
    [ ! -e "$case_dir/run" ] || fail "a folder was made for $mistake"
done
echo '[{"at": {"step": 1}, "do": "kill", "target": "ps-9"}]' >"$case_dir/plan.json"
run_program mistake 2 "$launcher" chaos --run-dir "$case_dir/run" "$case_dir/plan.json" -- "${options[@]}"
expect_log mistake "fault 1: target: 'ps-9' is no process"

finish
