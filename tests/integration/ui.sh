#!/bin/bash
# What runs leave of their course, and penstock ui, which hands it to browsers.
#
# Usage: ui.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 300
runs=$scratch/runs

# get PATH   the body goes to $case_dir/body; says the status of HTTP.
get() {
    curl --silent --path-as-is --max-time 10 --output "$case_dir/body" --write-out '%{http_code}' \
        "http://$(cat "$case_dir/http")$1"
}

# count TEXT   occurrences in the body.
count() {
    grep -oF -- "$1" "$case_dir/body" | wc -l
}

begin "a run leaves what each ps saw, to the end"
for name in first second; do
    run_program "$name" 0 "$launcher" run --ps 2 --workers 2 --run-dir "$runs/$name" -- --data-folder "$scratch/data" \
        --batch-size 20 --hidden 16 --epochs 2
done
expect [ "$(find "$runs/first/status" -name 'ps-0-*.json' | wc -l)" = 1 ]
expect [ "$(find "$runs/first/status" -name 'ps-1-*.json' | wc -l)" = 1 ]
for page in "$runs"/*/status/*.json; do
    expect grep -q '"state":"finished"' "$page"
    steps=$(sed -nE 's/.*trained ([0-9]+) steps.*/\1/p' "${page%/status/*}/logs/worker-0.log")
    expect grep -q "\"test\":{\"step\":${steps:-?}," "$page" # the last one, made just before the end
done

begin "all runs are listed, and each is handed out"
mkdir -p "$runs/empty" "$runs/no name/status" "$runs/.hidden/status"
echo '{"schema":1,"torn' >"$runs/first/status/ps-0-000000000001.json"
echo '{"options":["--epochs","2"]}' >"$runs/second/run.json"
start ui "$launcher" ui --http-port 0 --http-port-file "$case_dir/http" "$runs"
await [ -s "$case_dir/http" ]
await_log ui "http://$(cat "$case_dir/http")/"
expect [ "$(get /)" = 200 ]
expect grep -q '/dashboard/runs.js' "$case_dir/body"
expect [ "$(get /run)" = 200 ]
expect [ "$(get /dashboard/runs.js)" = 200 ]
expect [ "$(get /runs.json)" = 200 ]
expect [ "$(count '"name":')" = 2 ]
expect [ "$(count '"record":{"options":["--epochs","2"]}')" = 1 ]
expect [ "$(get /runs/first.json)" = 200 ]
expect [ "$(count '"kind":"ps"')" = 2 ] # of either ps; the torn one is passed over
expect [ "$(count torn)" = 0 ]
for path in /runs/third.json /runs/..json /runs/../first.json /runs/%2e%2e/first.json /runs/first/status/x.json /runs/.json \
    /runs/empty.json /status; do
    [ "$(get "$path")" = 404 ] || fail "$path is answered"
done
kill -TERM "${pids[ui]}"
await_end ui 0

begin "one run alone; and none"
start ui "$launcher" ui --http-port 0 --http-port-file "$case_dir/http" "$runs/second"
await [ -s "$case_dir/http" ]
expect [ "$(get /runs.json)" = 200 ]
expect [ "$(count '"name":"second"')" = 1 ]
expect [ "$(count '"name":')" = 1 ]
expect [ "$(get /runs/first.json)" = 404 ]
run_program nowhere 2 "$launcher" ui "$runs/third"
expect_log nowhere "$runs/third: No such file"
run_program two 2 "$launcher" ui "$runs" "$runs"
expect_log two "one folder, not"

begin "a ps keeps its course where it is told to, and says what it lacks"
run_program alone 2 env TF_CONFIG="$(task "$(dense 1 1)" ps 0)" "$ps" --status-dir "$case_dir/kept"
expect_log alone "--status-dir needs --http-port"
echo >"$case_dir/taken"
run_program taken 1 env TF_CONFIG="$(task "$(dense 1 1)" ps 0)" "$ps" --http-port 0 --status-dir "$case_dir/taken/kept"
expect_log taken "$case_dir/taken"
start_task ps-0 "$(task "$(dense 1 1)" ps 0)" "$ps" --http-port 0 --http-port-file "$case_dir/http" --status-dir "$case_dir/kept"
await_log ps-0 listening
kill -TERM "${pids[ps-0]}"
await_end ps-0 143
expect grep -q '"state":"waiting"' "$case_dir"/kept/ps-0-*.json
finish
