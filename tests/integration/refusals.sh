#!/bin/bash
# What the daemons refuse, with which exit code and words; that others are not harmed; and how signals end them.
#
# Usage: refusals.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130
options=(--data-folder "$scratch/data" --steps 5)
# More steps than any machine does before it is told to end.
endless=(--data-folder "$scratch/data" --epochs 1000000 --evaluate-every 0)

expect_out() {
    grep -qF -- "$2" <<<"$(tr -s ' \n' ' ' <"$case_dir/$1.log")" || fail_log "$1" "$1 does not print '$2'"
}

begin "a task of the wrong type names both programs"
cluster=$(dense 1 2)
start_task ps "$(task "$cluster" worker 1)" "$ps"
start_task worker "$(task "$cluster" ps 0)" "$worker" "${options[@]}"
await_end ps 2
await_end worker 2
expect_log ps 'task.type is "worker", but this is penstock-ps; start penstock-worker'
expect_log worker 'task.type is "ps", but this is penstock-worker; start penstock-ps'

begin "a ps without TF_CONFIG, and both programs with an empty one, end with an example"
run_program ps 2 "$ps"
expect_log ps "penstock-ps: TF_CONFIG is not set"
for program in ps worker; do
    start_task "empty-$program" "" "${!program}"
    await_end "empty-$program" 2
    expect_log "empty-$program" "TF_CONFIG is empty"
done
for log in ps empty-ps empty-worker; do
    expect_log "$log" 'TF_CONFIG='"'"'{"cluster": {"ps": ["host1:2222"], "worker": ["host2:2222"]}, "task": '
done

begin "what is no JSON is shown with a caret"
start_task ps '{"cluster": {"ps": ["a:1"] "worker": ["b:1"]}}' "$ps"
await_end ps 2
expect_log ps "line 1, column 28"
expect grep -qE '^ *\^$' "$case_dir/ps.log"

begin "--check-config prints what was understood, and starts nothing"
cluster='{"ps": ["a:1", "b:2"], "chief": ["c:3"], "worker": ["d:4", "e:5"]}'
start_task worker "$(task "$cluster" worker 1)" "$worker" --check-config
start_task ps "$(task "$cluster" ps 1)" "$ps" --check-config
await_end worker 0
await_end ps 0
for program in worker ps; do
    for line in "ps/0 a:1" "ps/1 b:2" "chief/0 c:3" "worker/0 d:4" "worker/1 e:5" "task $program/1" \
        "chief chief/0"; do
        expect_out "$program" "$line"
    done
done
expect_out worker "rank 2"

begin "--help names every option and ends with 0, and so does --version"
declare -A names=(
    [ps]="bind-given insecure curve-keys listen-fd memory-limit io-threads no-shared-memory threads pin-cpus checkpoint-dir
        checkpoint-steps checkpoint-secs checkpoint-keep durability status-dir lease-secs deadline stop-secs linger log-level log-format http-port http-address http-host http-port-file http-token-file http-open trace-dir trace-limit cluster task from-ordinal
        strict check-config help version"
    [worker]="data-folder data output-dir logdir hidden first-layer-neurons second-layer-neurons activation init curve-keys
        batch-size epochs steps seed evaluate-every mode staleness backup-workers guard on-worker-loss grace-secs deadline
        push-codec pull-codec topk-fraction optimizer learning-rate
        schedule warmup-steps decay-steps momentum beta1 beta2 rho epsilon initial-accumulator l1 l2
        learning-rate-power weight-decay clip-value clip-norm decay-rate end-learning-rate decay-power job-name
        workers evaluators slice-kib device precision list-devices threads no-shared-memory join-timeout progress-fd no-figures log-level log-format http-port http-address http-host http-port-file http-token-file http-open trace-dir trace-limit cluster task from-ordinal
        strict check-config help version"
    [launcher]="ps workers chief evaluator run-dir bin-dir restarts spare-workers checkpoint-steps checkpoint-keep ps-option grace pin check progress-file log-level log-format logdir trace no-http experiment registry quiet
        help version"
    [plan]="model-bytes compute-ms workers optimizer overlap bandwidth latency-us one-host transport ps max-ps
        slice-bytes push-codec pull-codec slice-updates constants check json help version"
    [hosts]="ps workers port slurm ps-option bin-dir chdir print ssh grace restarts help version"
)
plan=$launcher
hosts=$launcher
for program in ps worker launcher plan hosts; do
    command=("${!program}")
    [ "$program" = launcher ] && command+=(run)
    [ "$program" = plan ] && command+=(plan)
    [ "$program" = hosts ] && command+=(hosts)
    run_program "$program" 0 "${command[@]}" --help
    for name in ${names[$program]}; do
        grep -qE -- "--$name([=, ]|\$)" "$case_dir/$program.log" || fail "--help of $program lacks --$name"
    done
    # Options are all --help names, so the list above is whole.
    expect [ "$(grep -oE '^ +(-., )?(-., )?--[a-z0-9-]+(=[^ ]+, --[a-z-]+)?' "$case_dir/$program.log" |
        grep -oE -- '--[a-z0-9-]+' | grep -vcE -- '--(usage)$')" = "$(wc -w <<<"${names[$program]}")" ]
    run_program "$program-version" 0 "${command[@]}" --version
    expect grep -qE '^penstock(-ps|-worker)? [0-9]+\.[0-9]+\.[0-9]+$' "$case_dir/$program-version.log"
    run_program "$program-wrong" 2 "${command[@]}" --no-such-option
done
expect grep -qE "^  strangers' connections +[0-9]+; [0-9]+ s for a handshake" "$case_dir/ps.log"
run_program launcher 0 "$launcher" --help
expect_log launcher "run"

# intruder NAME TEXT OPTION...   a worker 1 that describes the job differently is refused; the cluster waits for
# the right one and completes.
intruder() {
    local text=$1
    shift
    cluster=$(dense 2 2)
    start_cluster "$cluster" 2 1 "${options[@]}"
    await_log ps-0 "worker 0 joined"
    await_log ps-1 "worker 0 joined"
    start_task intruder "$(task "$cluster" worker 1)" "$worker" --output-dir "$case_dir/none" "${options[@]}" "$@"
    await_end intruder 2
    expect_log intruder "$text"
    for name in ps-0 ps-1 worker-0; do
        is_running "$name" || fail_log "$name" "$name has ended"
    done
    start_task worker-1 "$(task "$cluster" worker 1)" "$worker" --output-dir "$case_dir/outputs" "${options[@]}"
    await_all
    expect [ ! -e "$case_dir/none" ]
    expect_log ps-0 "5 updates of 500 examples"
}

begin "a worker of another job is refused by name, and harms nobody"
intruder "name is other here, but penstock in the job" --job-name other

begin "a worker with other options is refused with field and both values, and harms nobody"
intruder "learning_rate is 0.5 here, but 0.01 in the job" --learning-rate 0.5

begin "a worker with another model is refused, and harms nobody"
intruder "here, but" --hidden 299,100

# with_data NAME CODE TEXT...   how a worker ends on the files in $case_dir/data.
with_data() {
    local code=$1 text
    shift
    run_program worker "$code" "$worker" --data-folder "$case_dir/data" --output-dir "$case_dir/outputs" --steps 5
    for text in "$@"; do
        expect_log worker "$text"
    done
    expect [ ! -e "$case_dir/outputs" ]
}

begin "missing data is named"
with_data 3 "$case_dir/data" "train-images-idx3-ubyte"
run_program without 2 "$worker"
expect_log without "--data-folder"

for part in train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
    begin "$part: truncated, oversized, or not IDX at all"
    cp -r "$scratch/data" "$case_dir/data"
    truncate -s -1 "$case_dir/data/$part"
    with_data 3 "$case_dir/data/$part" "truncated"
    truncate -s +2 "$case_dir/data/$part"
    with_data 3 "$case_dir/data/$part" "too long: holds"
    echo "this is no IDX file" >"$case_dir/data/$part"
    with_data 3 "$case_dir/data/$part" "IDX"
done

begin "more labels than images"
cp -r "$scratch/data" "$case_dir/data"
make_data "$case_dir/more" 1131
cp "$case_dir/more/train-labels-idx1-ubyte" "$case_dir/data"
with_data 3 "$case_dir/data/train-" "1130" "1131"

begin "an output folder that cannot be made is named before training, not after it"
echo "a file" >"$case_dir/file"
run_program worker 1 "$worker" "${endless[@]}" --output-dir "$case_dir/file/outputs"
expect_log worker "$case_dir/file"
expect [ "$(cat "$case_dir/file")" = "a file" ]

begin "SIGTERM and SIGINT end a worker and a ps with 143, never 0"
for signal in TERM INT; do
    start_cluster "$(dense 1 1)" 1 1 "${endless[@]}" --output-dir "$case_dir/none"
    await_log ps-0 "worker 0 joined"
    # A background process of a script ignores SIGINT until it says otherwise, as the daemons do.
    kill -"$signal" "${pids[worker-0]}"
    await_end worker-0 143
    is_running ps-0 || fail_log ps-0 "the ps ended with its worker"
    kill -"$signal" "${pids[ps-0]}"
    await_end ps-0 143
    expect [ ! -e "$case_dir/none/model/model.safetensors" ]
done

begin "a ps that no worker has joined ends at once on SIGTERM"
start_task ps "$(task "$(dense 1 1)" ps 0)" "$ps"
await_log ps "listening"
kill -TERM "${pids[ps]}"
await_end ps 143

begin "workers may start long before the ps"
cluster=$(dense 2 2)
for i in 0 1; do
    start_task "worker-$i" "$(task "$cluster" worker "$i")" "$worker" --output-dir "$case_dir/outputs" \
        "${options[@]}"
done
await_log worker-0 "waiting"
await_log worker-1 "waiting"
start_cluster "$cluster" 2 0
await_all

begin "ps may start long before the workers"
cluster=$(dense 2 2)
start_cluster "$cluster" 2 0
await_log ps-0 "no worker has joined"
await_log ps-1 "no worker has joined"
for i in 1 0; do
    start_task "worker-$i" "$(task "$cluster" worker "$i")" "$worker" --output-dir "$case_dir/outputs" \
        "${options[@]}"
    [ "$i" = 0 ] || await_log ps-0 "waits for worker 0"
done
await_all

begin "a device that is not there is refused, and so is a precision that the processor has not"
run_program no-device 2 "$worker" "${options[@]}" --device cuda:3
expect_log no-device "--device cuda: "
run_program no-precision 2 "$worker" "${options[@]}" --precision bf16
expect_log no-precision "--precision bf16 takes a CUDA device, and it is computed on cpu: "
run_program other-device 2 "$worker" "${options[@]}" --device cuda:x
expect_log other-device "'x' is not a whole number from 0 to 1023"
run_program devices 0 "$launcher" devices
expect_log devices "cpu      OpenBLAS"
expect_log devices "no CUDA: "

begin "threads that cannot be had are refused with the reason"
refuse_option() {
    run_program "refused-$1" 2 "$ps" "${@:3}"
    expect_log "refused-$1" "$2"
}
refuse_option 1 "--threads: '0' is not a whole number from 1 to 256" --threads 0
refuse_option 2 "--threads: '257' is not a whole number from 1 to 256" --threads 257
refuse_option 3 "--pin-cpus: '0-' is not a list of processors such as 0-3,8" --pin-cpus 0-
refuse_option 4 "--pin-cpus: 1-0 runs backwards" --pin-cpus 1-0
refuse_option 5 "--pin-cpus: processor 1023 is not there, or not for this process" --pin-cpus 1023
first_processor=$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')
refuse_option 6 "--pin-cpus lists 1 processors for 2 threads" --threads 2 --pin-cpus "$first_processor"

begin "a name that does not resolve is tried again and again, and named"
cluster='{"ps": ["ps0.invalid:2222"], "worker": ["worker-0.example:2222"]}'
start_task worker "$(task "$cluster" worker 0)" "$worker" "${options[@]}"
await_log worker "ps/0"
is_running worker || fail_log worker "the worker gave up"
kill -TERM "${pids[worker]}"
await_end worker 143

begin "--join-timeout gives up, with the code of lost peers"
start_task worker "$(task "$cluster" worker 0)" "$worker" "${options[@]}" --join-timeout 1
await_end worker 138

begin "two ps on one port: the second ends and names it"
cluster=$(dense 1 1)
start_task first "$(task "$cluster" ps 0)" "$ps"
await_log first "listening"
start_task second "$(task "$cluster" ps 0)" "$ps"
await_end second 1
expect_log second "cannot listen on"
is_running first || fail_log first "the first ps has ended"

finish
