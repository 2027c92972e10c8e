#!/bin/bash
# A ps with --linger, as a StatefulSet wants it: when the job has finished it stays, says so, answers workers that are
# started again late, and ends with 0 when it is told to.
#
# Usage: linger.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 300
options=(--data-folder "$scratch/data" --batch-size 20 --hidden 16 --epochs 2)

# start_ps INDEX OPTION...   one of $cluster that shows itself over HTTP.
start_ps() {
    rm -f "$case_dir/http-$1"
    start_task "ps-$1" "$(task "$cluster" ps "$1")" "$ps" --linger --http-port 0 --http-port-file "$case_dir/http-$1" "${@:2}"
}

# answers INDEX PATH STATUS TEXT   so the ps does.
answers() {
    local body
    body=$(curl --silent --max-time 10 --write-out '\n%{http_code}' "http://$(cat "$case_dir/http-$1" 2>/dev/null)$2") &&
        [ "${body##*$'\n'}" = "$3" ] && grep -qF -- "$4" <<<"$body"
}

# is_over INDEX
is_over() {
    answers "$1" /readyz 200 "the job has finished" && answers "$1" /livez 200 turned &&
        answers "$1" /status 200 '"state":"finished"' && answers "$1" /metrics 200 'penstock_ps_finished 1'
}

train_once() {
    start_task worker-0 "$(task "$cluster" worker 0)" "$worker" --output-dir "$case_dir/outputs" "${options[@]}"
    await_end worker-0 0
}

begin "when the job has finished the ps stay, answer one who comes late, and end with 0 after SIGTERM"
cluster=$(dense 2 1)
for i in 0 1; do start_ps "$i"; done
await answers 0 /readyz 503 "no worker has brought the job yet"
expect answers 0 /metrics 200 'penstock_ps_finished 0'
train_once
keep_model first
for i in 0 1; do
    await is_over "$i"
    expect_log "ps-$i" "the job has finished; staying until a signal (--linger)"
done
train_once # as an engine does whose worker was lost between its last word and its end
keep_model again
expect same_model first again
for i in 0 1; do
    await is_over "$i"
    kill -TERM "${pids[ps-$i]}"
    await_end "ps-$i" 0
done

for level in checkpoint log; do
    begin "one that is started again after the end knows it from what it has kept (--durability $level)"
    cluster=$(dense 1 1)
    kept=(--checkpoint-dir "$case_dir/cuts" --durability "$level")
    start_ps 0 "${kept[@]}"
    train_once
    keep_model first
    await is_over 0
    for again in once twice; do
        kill -KILL "${pids[ps-0]}"
        await_end ps-0 137
        start_ps 0 "${kept[@]}"
        await is_over 0
        train_once
        keep_model "$again"
        expect same_model first "$again"
        await is_over 0
    done
    kill -TERM "${pids[ps-0]}"
    await_end ps-0 0
    start_ps 0 "${kept[@]}"
    await is_over 0
    kill -TERM "${pids[ps-0]}"
    await_end ps-0 0
done

begin "without --linger such a one lets a worker that is late end, and ends by itself where none comes"
cluster=$(dense 1 1)
start_plain_ps() {
    start_task ps-0 "$(task "$cluster" ps 0)" "$ps" --checkpoint-dir "$case_dir/cuts"
}
start_plain_ps
train_once
keep_model first
await_end ps-0 0
start_plain_ps
await_log ps-0 "the last checkpoint is the end of a job: ending, too, if no worker comes for 60 s"
train_once
keep_model again
same_model first again
await_end ps-0 0
if [ "$scale" = 100 ]; then # sanitizers need not wait
    start_plain_ps
    await_end ps-0 0
    expect_log ps-0 "no worker has come for 60 s, and the last checkpoint is the end of its job"
fi

begin "told to end before the job has finished, it ends as others do"
cluster=$(dense 1 1)
start_ps 0
await answers 0 /readyz 503 "no worker"
kill -TERM "${pids[ps-0]}"
await_end ps-0 143

finish
