#!/bin/bash
# `penstock status` and what all daemons show over HTTP, against counts that others keep: logs, the options of the
# job, and arithmetic.
#
# Usage: status.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 600
options=(--data-folder "$scratch/data" --batch-size 20 --hidden 16 --evaluate-every 0)

# page NAME PATH   of the task NAME.
page() {
    curl --silent --show-error --fail --max-time 10 "http://$(cat "$case_dir/http-$1")$2"
}

# value NAME METRIC   of a series, by its whole name.
value() {
    page "$1" /metrics | awk -v name="$2" '$1 == name { print $2 }'
}

# field NAME EXPRESSION   of the page's JSON `d`, in Python.
field() {
    page "$1" /status | python3 -c "import json, sys; d = json.load(sys.stdin); print($2)"
}

has_field() {
    [ "$(field "$1" "$2" 2>/dev/null)" = "$3" ]
}

answers() {
    [ "$(curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' \
        "http://$(cat "$case_dir/http-$1")$2")" = "$3" ]
}

shows() {
    "$launcher" status "$(cat "$case_dir/http-$1")" >"$case_dir/table" 2>&1 && grep -qE -- "$2" "$case_dir/table"
}

cluster=$(dense 2 2)
serve() {
    local name=$1 program=$2
    shift 2
    start_task "$name" "$(task "$cluster" "${name%-*}" "${name#*-}")" "$program" --http-port 0 \
        --http-port-file "$case_dir/http-$name" --no-shared-memory "$@"
}

begin "every figure agrees with an independent count, when all have stopped at the same step"
for i in 0 1; do serve ps-$i "$ps" --lease-secs 4; done
for i in 0 1; do
    serve worker-$i "$worker" "${options[@]}" --epochs 1000000 --output-dir "$case_dir/outputs"
done
for name in ps-0 ps-1 worker-0 worker-1; do await [ -s "$case_dir/http-$name" ]; done
for name in ps-0 ps-1 worker-0 worker-1; do
    await answers $name /readyz 200
    expect answers $name /livez 200
done
await has_field ps-0 "d['progress']['steps'] is not None" True
await has_field ps-0 "[s['http'] for s in d['servers']]" \
    "['$(cat "$case_dir/http-ps-0")', '$(cat "$case_dir/http-ps-1")']"
kill -STOP "${pids[worker-1]}"

# What changes while anybody works, as it is shown and as it is told.
state() {
    value ps-0 penstock_ps_updates_total
    value ps-1 penstock_ps_updates_total
    value worker-0 penstock_worker_steps_total
    field ps-0 "d['shard']['updates'], d['workers'][0]['bytes_pulled']"
}
await_standstill state

# Worker 1 may have been stopped with its gradient on one ps only.
u0=$(value ps-0 penstock_ps_updates_total)
u1=$(value ps-1 penstock_ps_updates_total)
low=$((u0 < u1 ? u0 : u1))
expect [ $((u0 - low)) -le 1 ]
expect [ $((u1 - low)) -le 1 ]
pulled=0 total=0
for i in 0 1; do
    updates=$(value ps-$i penstock_ps_updates_total)
    held=$(grep -oE '[0-9]+ parameters$' "$case_dir/ps-$i.log" | cut -d' ' -f1)
    total=$((total + held))
    expect [ "$(value ps-$i penstock_ps_push_wait_seconds_count)" = $((2 * updates)) ]
    expect [ "$(value ps-$i penstock_ps_staleness_updates_sum)" = 0 ]
    expect [ "$(value ps-$i penstock_ps_step_duration_seconds_count)" = $((updates - 1)) ]
    expect [ "$(value ps-$i penstock_ps_apply_duration_seconds_count)" = "$updates" ]
    expect [ "$(value ps-$i penstock_ps_examples)" = $((40 * updates)) ]
    # Both workers pull at the start and after each step.
    expect [ "$(value ps-$i 'penstock_ps_sent_tensor_bytes_total{codec="fp32"}')" = $((2 * (updates + 1) * held * 4)) ]
    expect has_field ps-$i "d['shard']['updates'], d['progress']['step'], d['progress']['examples']" \
        "$updates $updates $((40 * updates))"
    expect has_field ps-$i "d['shard']['parameters']" "$held"
    # Of the step under way worker 0's gradient is there, unless it was applied.
    expect [ "$(value ps-$i penstock_ps_pushes_total)" = $((updates + low + 1)) ]
done
# 12 x 12 pixels, 16 neurons, 10 classes.
expect [ "$total" = $((144 * 16 + 16 + 16 * 10 + 10)) ]
steps=$(value worker-0 penstock_worker_steps_total)
expect [ "$steps" = $((low + 1)) ]
expect [ "$(value worker-0 penstock_worker_step_duration_seconds_count)" = "$steps" ]
expect [ "$(value worker-0 penstock_worker_examples_total)" = $((20 * steps)) ]
expect [ "$(value worker-0 penstock_worker_pushed_tensor_bytes_total)" = $((steps * total * 4)) ]
expect [ "$(value worker-0 penstock_worker_pulled_tensor_bytes_total)" = $((steps * total * 4)) ]
await has_field ps-0 "d['workers'][0]['bytes_pulled'], d['workers'][0]['examples']" \
    "$((steps * total * 4)) $((20 * steps))"

echo "the table says who waits for whom, who is lost, and that it came back"
await shows ps-0 "^waits: w0 at p., for .*: step $((low + 1)) waits for worker 1"
expect grep -qE "^w0 +waiting +[0-9]+ +0 " "$case_dir/table"
expect grep -qE "^p0 +training +$u0 " <(tr -d , <"$case_dir/table")
expect grep -qE "^p1 +training +$u1 " <(tr -d , <"$case_dir/table")
expect [ "$(awk 'length($0) > 80' "$case_dir/table" | wc -l)" = 0 ]
expect shows worker-0 "^p1 "
"$launcher" status --json "$(cat "$case_dir/http-ps-1")" >"$case_dir/json"
expect python3 - "$case_dir/json" <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
assert d["schema"] == 1 and d["errors"] == []
assert sorted(p["index"] for p in d["pages"]) == [0, 1]
for p in d["pages"]:
    assert p["history"]["points"] and len(p["history"]["points"][0]) == len(p["history"]["columns"])
    assert p["workers"][0]["recent"]["points"]
    assert {"member_joined", "listening"} <= {e["event"] for e in p["events"]}
END
for form in "" --json; do
    # shellcheck disable=SC2086
    "$launcher" status $form "$(cat "$case_dir/http-ps-1")" >/dev/full 2>"$case_dir/full" &&
        fail "a full disk is not noticed"
    expect grep -qx "penstock status: cannot write to standard output" "$case_dir/full"
done
await shows ps-0 "^w1 +lost"
kill -CONT "${pids[worker-1]}"
# Where the host is slow the other one may be lost for a moment, too.
await shows ps-0 "[1-9][0-9]* workers lost, [1-9][0-9]* returned"
expect has_field ps-0 "{'member_lost', 'member_returned'} <= {e['event'] for e in d['events']}" True
for name in worker-0 worker-1 ps-0 ps-1; do kill -TERM "${pids[$name]}"; done
for name in worker-0 worker-1 ps-0 ps-1; do await_end $name 143; done
run_program gone 1 "$launcher" status "$(cat "$case_dir/http-ps-0")"
expect_log gone "Connection refused"

begin "a worker with --no-figures shows itself, and tells the ps nothing"
cluster=$(dense 1 1)
serve ps-0 "$ps"
serve worker-0 "$worker" "${options[@]}" --epochs 1000000 --output-dir "$case_dir/outputs" --no-figures
await [ -s "$case_dir/http-ps-0" ]
await [ -s "$case_dir/http-worker-0" ]
await has_field ps-0 "d['progress']['step'] > 200" True
expect has_field worker-0 "d['worker']['device']" cpu
expect has_field ps-0 "[w['device'] for w in d['workers']]" "[None]"
kill_all

begin "penstock status finds the newest run, and says when it has ended"
cd "$case_dir" || exit
run_program none 1 "$launcher" status
expect_log none "there is no run here"
start run "$launcher" run --quiet --ps 1 --workers 1 -- "${options[@]}" --epochs 1000000
table() { "$launcher" status >table 2>&1 && grep -qE '^w0 +training' table; }
await table
expect grep -q "127.0.0.1" runs/*/http/worker-0
kill -TERM "${pids[run]}"
await_end run 143
run_program ended 1 "$launcher" status
expect_log ended "has ended"
run_program wrong 2 "$launcher" status nowhere
expect_log wrong "has no port"

finish
