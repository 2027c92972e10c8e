#!/bin/bash
# `penstock run` against fake daemons: what each is given, who is blamed, and that nothing survives.
#
# Usage: launcher.sh PENSTOCK
set -u
penstock=$(realpath -e "$1") || exit 1
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
PATIENCE_S=${PATIENCE_S:-120} # for what must happen; only a broken launcher ever waits that long
failures=0
export PENSTOCK_HOME=$scratch/registry

# ---- helpers ----------------------------------------------------------------------------------------

fail() {
    echo "  FAILED: $*"
    failures=$((failures + 1))
}

# A broken launcher may leave processes behind; we do not.
clean_up() {
    case_dir=$scratch
    survivors | xargs -r kill -KILL
    rm -rf "$scratch"
}
trap clean_up EXIT

# A new case: its own folder, with the fake daemons and their modes.
begin() {
    echo "$1"
    case_dir=$(mktemp -d "$scratch/case.XXXXXX")
    mkdir "$case_dir/bin" "$case_dir/fake"
    ln -s "$here/fake-daemon" "$case_dir/bin/penstock-ps"
    ln -s "$here/fake-daemon" "$case_dir/bin/penstock-worker"
}

mode() {
    echo "${*:2}" >"$case_dir/fake/$1.mode"
}

# Every process of the case has FAKE_DIR in its environment, wherever it went.
survivors() {
    grep -lszF "FAKE_DIR=$case_dir" /proc/[0-9]*/environ | cut -d/ -f3
}

launch() {
    (cd "$case_dir" && FAKE_DIR=$case_dir/fake exec "$penstock" run --bin-dir bin "$@" >out 2>err </dev/null)
    code=$?
}

launch_in_background() {
    (cd "$case_dir" && FAKE_DIR=$case_dir/fake exec "$penstock" run --bin-dir bin "$@" >out 2>err </dev/null) &
    launcher=$!
}

await() {
    local deadline=$((SECONDS + PATIENCE_S))
    until "$@"; do
        if ((SECONDS > deadline)); then
            # What follows would make no sense.
            fail "waited $PATIENCE_S s for: $*"
            exit 1
        fi
        sleep 0.05
    done
}

# Tests of conditions, for await and expect.
exists() { [ -s "$case_dir/fake/$1" ]; }
nobody_left() { [ -z "$(survivors)" ]; }
says() { grep -qF -- "$2" "$case_dir/$1"; }
line_is() { grep -qxF -- "$2" "$case_dir/$1"; }

expect() {
    "$@" || fail "not so: $*"
}

expect_code() {
    [ "$code" = "$1" ] || fail "exit code $code instead of $1: $(cat "$case_dir/err")"
}

expect_nobody_left() {
    nobody_left || fail "left behind: $(for p in $(survivors); do tr '\0' ' ' <"/proc/$p/cmdline"; done)"
}

await_end() {
    wait "$launcher"
    code=$?
}

# ---- cases ------------------------------------------------------------------------------------------

begin "every process ends well: result, logs and configuration are there"
launch --run-dir run --chief --evaluator --progress-file progress -- --epochs 2 --hidden "300, 100"
expect_code 0
expect says out "test accuracy  97.71 %"
expect says out "training time  20.1 s"
expect says out "30,100 images/s"
expect says out "model          run/outputs/model/model.safetensors"
expect line_is out "chief-0: epoch 1: test accuracy 95.30 %, loss 0.16, after 2.4 s"
expect line_is out "evaluator-0: epoch 1: test accuracy 95.30 %, loss 0.16, after 2.4 s"
expect says err "chief-0: progress report"
for event in start eval done; do
    expect [ "$(grep -cE "^\{\"event\":\"$event\",.*\}$" "$case_dir/progress")" = 2 ]
done
expect [ "$(wc -l <"$case_dir/progress")" = 6 ]
expect [ -d "$case_dir/run/outputs" ]
for task in ps-0 ps-1 chief-0 worker-0 worker-1 worker-2 evaluator-0; do
    expect says "run/logs/$task.log" "$task trains"
    expect line_is "fake/$task.env" "TF_CONFIG=$(cat "$case_dir/run/tf_config/$task.json")"
done
expect says run/tf_config/worker-2.json '"task": {"type": "worker", "index": 2}'
addresses=$(grep -oE '127\.0\.0\.1:[1-9][0-9]*' "$case_dir/run/tf_config/ps-0.json" | sort -u | wc -l)
expect [ "$addresses" = 7 ]
expect [ "$(sed 's/"task".*//' "$case_dir"/run/tf_config/*.json | sort -u | wc -l)" = 1 ]
for task in chief-0 worker-0 evaluator-0; do
    expect line_is "fake/$task.args" "--output-dir"
    expect line_is "fake/$task.args" "run/outputs"
    expect [ "$(tail -n 4 "$case_dir/fake/$task.args")" = $'--epochs\n2\n--hidden\n300, 100' ]
done
expect_nobody_left

begin "a process gets only the descriptors meant for it"
exec 9<"$here/fake-daemon"
launch --run-dir run
exec 9<&-
expect_code 0
expect [ "$(head -n 1 "$case_dir/fake/ps-0.args")" = --listen-fd ]
expect [ "$(wc -l <"$case_dir/fake/ps-0.args")" = 8 ]
expect says fake/ps-0.fds "$(sed -n 2p "$case_dir/fake/ps-0.args") -> socket:"
expect [ "$(head -n 1 "$case_dir/fake/worker-0.args")" = --progress-fd ]
expect says fake/worker-0.fds "$(sed -n 2p "$case_dir/fake/worker-0.args") -> pipe:"
expect says fake/worker-1.fds "0 -> /dev/null"
for task in ps-0 ps-1 worker-1 worker-2; do
    expect [ "$(grep -c pipe: "$case_dir/fake/$task.fds")" = 0 ]
done
expect [ "$(grep -c socket: "$case_dir/fake/ps-1.fds")" = 1 ]
expect [ "$(grep -c socket: "$case_dir/fake/worker-1.fds")" = 0 ]
expect [ "$(cat "$case_dir"/fake/*.fds | grep -c "9 -> .*fake-daemon")" = 0 ]

begin "reports are appended to a file, and one that cannot be opened ends the run before it begins"
echo before >"$case_dir/progress"
launch --workers 1 --quiet --run-dir run --progress-file progress
expect_code 0
expect [ "$(head -n 1 "$case_dir/progress")" = before ]
expect [ "$(wc -l <"$case_dir/progress")" = 4 ]
launch --workers 1 --run-dir other --progress-file nowhere/progress
expect_code 1
expect says err "cannot open nowhere/progress: No such file"
expect [ ! -e "$case_dir/other" ]

begin "runs without a folder given get new ones"
launch --workers 1 --quiet
expect_code 0
launch --workers 1 --quiet
expect_code 0
expect [ "$(find "$case_dir/runs" -mindepth 1 -maxdepth 1 -type d | wc -l)" = 2 ]
expect says out "97.71 %"
expect [ "$(grep -c epoch "$case_dir/out")" = 0 ]

begin "one worker without servers trains alone, without TF_CONFIG"
(export TF_CONFIG='{"of": "another job"}' && launch --ps 0 --workers 1 --run-dir run)
expect [ "$(ls "$case_dir"/fake/*.args)" = "$case_dir/fake/alone-0.args" ]
expect [ "$(grep -c TF_CONFIG "$case_dir/fake/alone-0.env")" = 0 ]
expect says out "97.71 %"
expect says fake/alone-0.args --progress-fd

begin "a worker that fails is named with the last lines of its log, and its code is ours"
mode worker-1 fail 3 12
for task in ps-0 ps-1 worker-0 worker-2; do mode "$task" wait_for_signal; done
launch --run-dir run
expect_code 3
expect says err "worker-1 failed with exit code 3"
expect says err "run/logs/worker-1.log"
expect says err "    line 12 of worker-1"
expect says err "    line 3 of worker-1"
expect [ "$(grep -c 'line 2 of worker-1' "$case_dir/err")" = 0 ]
expect_nobody_left

begin "of a second run in the same folder only its own log is shown"
mode worker-1 fail 1 1
launch --workers 2 --run-dir run
mode worker-1 fail 1 0
launch --workers 2 --run-dir run
expect_code 1
expect says err "run/logs/worker-1.log holds nothing"

begin "a server that crashes is blamed, not the worker that lost it"
mode ps-1 crash
mode worker-0 follows ps-1 138
mode worker-1 follows ps-1 138
launch --workers 2
expect_code 139
expect says err "ps-1 failed with signal 11"
expect_nobody_left

begin "what is worth a retry is started again, with the same port and at the end of its log"
mode ps-1 dies 2 KILL
mode worker-0 dies 1 138
mode worker-1 follows_lives ps-1 3
mode ps-0 follows_lives ps-1 3
launch --workers 2 --run-dir run --restarts 3
expect_code 0
expect says err "ps-1 ended with signal 9 (Killed); starting it again in 0.1 s"
expect says err "starting it again in 0.2 s"
expect says err "worker-0 ended with exit code 138; starting it again in 0.1 s"
expect says err "(3 of 3 restarts)"
expect says out "test accuracy  97.71 %"
expect says fake/ps-1.fds "$(sed -n 2p "$case_dir/fake/ps-1.args") -> socket:"
expect says fake/worker-0.fds "$(sed -n 2p "$case_dir/fake/worker-0.args") -> pipe:"
expect says run/logs/ps-1.log "ps-1 trains"
expect_nobody_left

begin "restarts that are used up end the run"
mode ps-0 wait_for_signal
mode worker-0 dies 5 139
launch --ps 1 --workers 1 --restarts 2
expect_code 139
expect [ "$(wc -l <"$case_dir/fake/worker-0.lives")" = 3 ]
expect says err "worker-0 failed with exit code 139"
expect_nobody_left

begin "exit codes below 128 are final"
mode ps-0 wait_for_signal
mode worker-0 dies 5 127
launch --ps 1 --workers 1 --restarts 2
expect_code 127
expect [ "$(wc -l <"$case_dir/fake/worker-0.lives")" = 1 ]

begin "a run that is ended starts nothing again"
for task in ps-0 worker-0; do mode "$task" wait_for_signal; done
launch_in_background --ps 1 --workers 1 --restarts 5
for task in ps-0 worker-0; do await exists "$task.pid"; done
kill -TERM "$launcher"
await_end
expect_code 143
expect [ "$(grep -c "starting it again" "$case_dir/err")" = 0 ]
expect_nobody_left

begin "options of ps and their checkpoints are passed on"
launch --ps 1 --workers 1 --run-dir run --restarts 1 --checkpoint-keep 5 --ps-option --threads --ps-option 2
expect_code 0
expect [ "$(tail -n +3 "$case_dir/fake/ps-0.args" | paste -sd' ')" = \
    "--http-port 0 --http-port-file run/http/ps-0 --checkpoint-dir run/checkpoints --checkpoint-steps 200 \
--checkpoint-keep 5 --status-dir run/status --threads 2" ]
launch --ps 1 --workers 1 --run-dir silent --no-http
expect [ "$(wc -l <"$case_dir/fake/ps-0.args")" = 2 ]
launch --ps 1 --workers 1 --run-dir other --checkpoint-steps 7
expect says fake/ps-0.args "other/checkpoints"
expect line_is fake/ps-0.args 7

begin "an option by which ps would never end is refused, also abbreviated"
for option in --linger --lin; do
    launch --run-dir run --ps-option=--threads --ps-option=1 --ps-option="$option"
    expect_code 2
    expect says err "--ps-option=$option: a ps that stays when the job has finished would be waited for"
    expect [ ! -e "$case_dir/run" ]
done

begin "a program that cannot be started ends the run"
rm "$case_dir/bin/penstock-worker"
printf '#!/nonexistent/interpreter\n' >"$case_dir/bin/penstock-worker"
chmod +x "$case_dir/bin/penstock-worker"
mode ps-0 wait_for_signal
launch
expect_code 1
expect says err "cannot start bin/penstock-worker: execve: No such file"
expect_nobody_left

for signal in INT TERM HUP; do
    begin "SIG$signal reaches every process once, and the exit code tells of it"
    for task in ps-0 ps-1 worker-0 worker-1; do mode "$task" wait_for_signal; done
    launch_in_background --workers 2 --run-dir run
    for task in ps-0 ps-1 worker-0 worker-1; do await exists "$task.pid"; done
    kill -"$signal" "$launcher"
    await_end
    expect_code $((128 + $(kill -l "$signal")))
    for task in ps-0 ps-1 worker-0 worker-1; do
        expect [ "$(cat "$case_dir/fake/$task.heard")" = "$signal" ]
    done
    expect_nobody_left
done

begin "a stopped process still hears SIGTERM"
mode worker-0 wait_for_signal
mode ps-0 wait_for_signal
launch_in_background --ps 1 --workers 1 --grace 3600
await exists worker-0.pid
await exists ps-0.pid
kill -STOP "$(cat "$case_dir/fake/worker-0.pid")"
kill -TERM "$launcher"
await_end
expect_code 143
expect [ "$(cat "$case_dir/fake/worker-0.heard")" = TERM ]

begin "what does not end within the grace time is killed"
mode worker-0 deaf
mode ps-0 wait_for_signal
launch_in_background --ps 1 --workers 1 --grace 1
await exists worker-0.pid
await exists ps-0.pid
kill -TERM "$launcher"
await_end
expect_code 143
expect_nobody_left

begin "a second SIGINT kills at once"
mode worker-0 deaf
mode ps-0 deaf
launch_in_background --ps 1 --workers 1 --grace 3600
await exists worker-0.pid
await exists ps-0.pid
kill -INT "$launcher"
await says err "ending 2 processes"
kill -INT "$launcher"
await_end
expect_code 130
expect_nobody_left

begin "a hung process does not keep a failed run alive"
mode worker-1 fail 2 1
mode worker-0 deaf
mode ps-0 wait_for_signal
launch --ps 1 --workers 2 --grace 1
expect_code 2
expect says err "worker-1 failed with exit code 2"
expect_nobody_left

begin "what the processes have forked is gone after a good end"
mode worker-0 forks train
mode ps-0 forks train
launch --ps 1 --workers 1
expect_code 0
expect_nobody_left

begin "kill -9 of the launcher takes everything along"
mode worker-0 deaf
mode worker-1 wait_for_signal
mode ps-0 deaf
launch_in_background --ps 1 --workers 2
for task in ps-0 worker-0 worker-1; do await exists "$task.pid"; done
kill -KILL "$launcher"
await_end
expect_code 137
await nobody_left

begin "the launcher killed while it starts leaves nothing either"
for i in $(seq 0 15); do mode "worker-$i" deaf; done
mode ps-0 deaf
launch_in_background --ps 1 --workers 16
await exists worker-2.args
kill -KILL "$launcher"
await_end
await nobody_left

begin "a reader that goes away ends the run"
mode worker-0 wait_for_signal
mode ps-0 wait_for_signal
(
    cd "$case_dir" && FAKE_DIR=$case_dir/fake "$penstock" run --bin-dir bin --ps 1 --workers 1 2>err
    echo $? >code
) | head -n 1 >/dev/null
await [ -s "$case_dir/code" ]
code=$(cat "$case_dir/code")
expect_code 141
expect_nobody_left

begin "on a terminal the progress line is gone at the end"
(
    cd "$case_dir" && FAKE_DIR=$case_dir/fake TERM=xterm \
        script -qec "stty cols 60; '$penstock' run --bin-dir bin" typescript </dev/null >/dev/null
)
expect says typescript "test accuracy  97.71 %"
expect says typescript $'\r'
# After the last drawn line the line is erased before anything else appears.
last=$(grep -aoE $'\x1b\\[K[^\x1b]*$' "$case_dir/typescript" | tail -n 1)
expect [ "${last#*$'\r'}" != "$last" ]

for arguments in "--ps -1" "--ps 65" "--workers 1e3" "--workers 0" "--ps 0" "--ps 0 --workers 1 --chief" \
    "--grace -1" "--restarts -1" "--checkpoint-steps x" "--checkpoint-keep -3" "--ps-option" "--log-level loud" "--log-format xml" "--unknown" "stray" "--bin-dir nowhere" "--run-dir="; do
    begin "a usage error is refused with a hint: $arguments"
    # shellcheck disable=SC2086 # several arguments
    launch $arguments
    expect_code 2
    expect [ -s "$case_dir/err" ]
    expect [ ! -e "$case_dir/runs" ]
done

begin "a forgotten or unknown command names those that exist"
"$penstock" >"$case_dir/out" 2>"$case_dir/err"
expect [ $? = 2 ]
commands=$("$penstock" --help | sed -nE '/^ *Commands:/,/^$/s/^ *([a-z-]+)  .*/\1/p' | paste -sd, | sed 's/,/, /g')
expect grep -q "^run, .*, export" <<<"$commands"
expect says err "there is: $commands"
"$penstock" fly >"$case_dir/out" 2>"$case_dir/err"
expect [ $? = 2 ]
expect says err "no command 'fly'; there is: $commands"
expect "$penstock" --version >/dev/null
expect "$penstock" run --help >/dev/null

if ((failures)); then
    echo "$failures failed"
    exit 1
fi
echo "all passed"
