#!/bin/bash
# Traces of whole clusters: sound ones, with as many spans as the logs of the processes count, also when a process is
# killed; and parts that are torn, foreign or full.
#
# Usage: trace.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 300
options=(--data-folder "$scratch/data" --batch-size 20 --hidden 16 --evaluate-every 0)

# check FILE   is sound; what there is of what goes to $case_dir/counts.
check() {
    "$tools/check_trace" "$1" >"$case_dir/counts" || fail "$1: $(grep WRONG "$case_dir/counts")"
}

# number PROCESS NAME   how many there are in the trace.
number() {
    local found
    found=$(sed -n "s|^count $1 $2 \([0-9]*\)\$|\1|p" "$case_dir/counts")
    echo "${found:-0}"
}

# says LOG PATTERN   the number that a log tells, in the place of N.
says() {
    sed -nE "s/.* ${2/N/([0-9]+)}.*/\1/p" "$case_dir/run/logs/$1.log" | tail -n 1
}

begin "a trace of a cluster is sound, and has a span for each step and each update"
steps=$(scaled 100)
run_program run 0 "$launcher" run --ps 2 --workers 2 --chief --evaluator --run-dir "$case_dir/run" \
    --checkpoint-steps 40 --trace "$case_dir/trace.json" -- "${options[@]}" --steps "$steps"
check "$case_dir/trace.json"
for name in chief/0 worker/0 worker/1; do
    expect [ "$(number $name step)" = "$steps" ]
    expect [ "$(says ${name/\//-} 'N steps pushed')" = "$steps" ]
    expect [ "$(number $name forward)" -ge "$steps" ]
    expect [ "$(number $name push)" -ge "$steps" ]
    expect [ "$(number $name pull)" -ge "$steps" ]
    expect [ "$(number $name finished)" = 1 ]
done
expect [ "$(number chief/0 save)" = 1 ]
expect [ "$(number evaluator/0 evaluate)" -ge 1 ]
for name in ps/0 ps/1; do
    expect [ "$(number $name apply)" = "$steps" ]
    expect [ "$(says ${name/\//-} 'N updates of')" = "$steps" ]
    kept=$(says ${name/\//-} 'N checkpoints written')
    expect [ "$(number $name 'checkpoint taken')" = "$kept" ]
    expect [ "$(number $name 'write checkpoint')" = "$kept" ]
done
expect grep -q '"events_dropped":0,.*"gradients_without_push":0,"hosts":1' "$case_dir/trace.json"
expect [ "$(grep -c ^clocks "$case_dir/counts")" = 8 ]
expect grep -q "^trace  *$case_dir/trace.json (6 processes, " "$case_dir/run.log"
expect [ ! -e "$case_dir/run/trace" ]

begin "so has one of asynchronous training, of a step in several messages, and of training alone"
run_program run 0 "$launcher" run --ps 1 --workers 2 --run-dir "$case_dir/run" --trace "$case_dir/trace.json" -- \
    "${options[@]}" --steps "$(scaled 50)" --mode async --hidden 500 --slice-kib 64
check "$case_dir/trace.json"
expect [ "$(number ps/0 apply)" = $((2 * $(scaled 50))) ]
expect [ "$(says ps-0 'N updates of')" = $((2 * $(scaled 50))) ]
run_program alone 0 "$launcher" run --ps 0 --workers 1 --run-dir "$case_dir/alone" --trace "$case_dir/alone.json" -- \
    "${options[@]}" --steps "$(scaled 50)"
check "$case_dir/alone.json"
expect [ "$(number worker apply)" = "$(scaled 50)" ]

is_past() {
    local newest
    newest=$(sed -nE 's/.*checkpoint of step ([0-9]+) written.*/\1/p' "$case_dir/run/logs/ps-0.log" 2>/dev/null | tail -n 1)
    ((${newest:-0} >= $1))
}

begin "a ps that is killed and started again is there twice, with what it had written and what it did then"
start run "$launcher" run --ps 2 --workers 2 --run-dir "$case_dir/run" --restarts 1 --checkpoint-steps 20 \
    --trace "$case_dir/trace.json" -- "${options[@]}" --steps "$(scaled 1500)" # until long after the kill
await is_past 40
kill -KILL "$(pgrep -P "${pids[run]}" penstock-ps | head -n 1)" || fail "there was no ps to kill"
await_end run 0
check "$case_dir/trace.json"
killed=ps/0
grep -q '^count ps/1, start 2' "$case_dir/counts" && killed=ps/1
expect [ "$(number $killed 'cut off')" = 1 ]
expect [ "$(number $killed start)" = 1 ]
expect [ "$(number "$killed, start 2" restart)" = 1 ]
expect [ "$(number "$killed, start 2" apply)" = "$(says ${killed/\//-} 'N updates of')" ]
expect [ "$(number "$killed, start 2" resumed)" = 1 ]
expect [ "$(number "$killed, start 2" 'duplicate refused')" = "$(says ${killed/\//-} 'examples; N repeats')" ]
expect [ "$(number worker/0 rollback)" -ge 1 ]
expect [ "$(number worker/1 rollback)" -ge 1 ]
expect grep -q '"events_dropped":0,.*"gradients_without_push":0' "$case_dir/trace.json"

begin "what daemons by hand have left is merged; what is torn is cut, and what is foreign left out, with a line"
run_program train 0 "$worker" "${options[@]}" --steps 20 --output-dir "$case_dir/outputs" --trace-dir "$case_dir/parts"
part=$(echo "$case_dir"/parts/worker-*.part)
run_program merge 0 "$launcher" trace merge "$case_dir/parts" -o "$case_dir/trace.json"
check "$case_dir/trace.json"
expect [ "$(number worker step)" = 20 ]
head -c -5 "$part" >"$case_dir/torn.part"
echo "nothing of ours" >"$case_dir/foreign.part"
run_program merge 0 "$launcher" trace merge "$case_dir/torn.part" "$case_dir/foreign.part" -o "$case_dir/trace.json"
expect_log merge "torn.part: the file is torn at byte"
expect_log merge "foreign.part: this is no part of a trace; it is left out"
check "$case_dir/trace.json"
expect [ "$(number worker step)" = 20 ]
expect [ "$(number worker 'cut off')" = 1 ]
run_program merge 3 "$launcher" trace merge "$case_dir/foreign.part" -o "$case_dir/none.json"
expect_log merge "there is no part of a trace that can be used"
expect [ ! -e "$case_dir/none.json" ]
run_program merge 2 "$launcher" trace merge -o "$case_dir/none.json"
run_program merge 2 "$launcher" trace "$case_dir/parts"

# A time namespace has a monotonic clock of its own, as another host has.
elsewhere=(unshare --time --monotonic 5000 --fork --kill-child)
if "${elsewhere[@]}" true 2>/dev/null; then
    begin "processes with different clocks are brought to one"
    cluster=$(dense 2 2)
    for name in 0 1; do
        start_task "ps-$name" "$(task "$cluster" ps "$name")" "$ps" --trace-dir "$case_dir/parts"
    done
    mine=("${options[@]}" --output-dir "$case_dir/outputs" --trace-dir "$case_dir/parts" --steps "$(scaled 300)")
    start_task worker-0 "$(task "$cluster" worker 0)" "$worker" "${mine[@]}"
    start_task worker-1 "$(task "$cluster" worker 1)" "${elsewhere[@]}" "$worker" "${mine[@]}"
    await_all
    run_program merge 0 "$launcher" trace merge "$case_dir/parts" -o "$case_dir/trace.json"
    expect_log merge "clocks of 2 hosts agree within"
    check "$case_dir/trace.json"
    expect [ "$(number worker/1 step)" = "$(scaled 300)" ]
    expect [ "$(grep -c ^clocks "$case_dir/counts")" = 4 ]
else
    echo "left out, for time namespaces cannot be made here: processes with different clocks"
fi

begin "a part that is full says so, and a folder that cannot be written to is refused"
run_program train 0 "$worker" "${options[@]}" --steps "$(scaled 20000)" --output-dir "$case_dir/outputs" \
    --trace-dir "$case_dir/parts" --trace-limit 1
expect_log train "the trace is full (--trace-limit 1)"
run_program merge 0 "$launcher" trace merge "$case_dir/parts" -o "$case_dir/trace.json"
expect grep -Eq '[0-9]+ events were dropped' "$case_dir/merge.log"
check "$case_dir/trace.json"
expect [ "$(number worker 'events dropped')" = 1 ]
echo >"$case_dir/file"
run_program train 1 "$worker" "${options[@]}" --steps 20 --output-dir "$case_dir/outputs" --trace-dir "$case_dir/file"
expect_log train "$case_dir/file"
run_program train 2 "$worker" --trace-limit 1
expect_log train "--trace-limit needs --trace-dir"

finish
