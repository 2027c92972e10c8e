#!/bin/bash
# `penstock sweep`: what is tried, what is kept, what is stopped, and how it goes on after an interruption. First
# with fake workers, whose accuracy is their learning rate; then with real daemons.
#
# Usage: sweep.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
here=$(cd "$(dirname "$0")" && pwd)

# ---- helpers ----------------------------------------------------------------------------------------

# A case with fake workers, which tries these learning rates; $space has more of the space.
rates() {
    fake=$case_dir/fake
    fixed=(-- --ps 0 --workers 1 --bin-dir "$case_dir/bin" -- --epochs 3)
    mkdir -p "$fake" "$case_dir/bin"
    ln -sf "$here/fake-trial" "$case_dir/bin/penstock-worker"
    local list
    list=$(printf ', %s' "$@")
    cat >"$case_dir/space.json" <<END
{"version": 1, "method": "grid", "training": {"learning-rate": {"choice": [${list#, }]}}${space:-}}
END
    space=
}

# sweep CODE OPTION...   to its end; what it prints goes to out and err.
sweep() {
    local wanted=$1
    shift
    FAKE_DIR=$fake "$launcher" sweep "$case_dir/space.json" --sweep-dir "$case_dir/sweep" "$@" "${fixed[@]}" \
        >"$case_dir/out" 2>"$case_dir/err" </dev/null
    local code=$?
    [ "$code" = "$wanted" ] || fail "exit code $code instead of $wanted: $(cat "$case_dir/err")"
}

# The same in the background, as process `sweep`.
begin_sweep() {
    start sweep env FAKE_DIR="$fake" "$launcher" sweep "$case_dir/space.json" --sweep-dir "$case_dir/sweep" "$@" "${fixed[@]}"
}

hold() { touch "$fake/$1.hold"; }
says() { grep -qF -- "$2" "$case_dir/$1"; }
has_begun() { grep -qxF "$1" "$fake/began" 2>/dev/null; }
journal_has() { awk -v n="$1" 'END { exit !(NR >= n) }' "$case_dir/sweep/trials.jsonl" 2>/dev/null; }
times_begun() { grep -cxF "$1" "$fake/began"; }
outcomes() { sed -nE 's/.*"trial": ([0-9]+), "outcome": "([a-z]+)".*/\1 \2/p' "$case_dir/sweep/trials.jsonl" | sort -n | paste -sd,; }

# Every process of a case has FAKE_DIR in its environment, wherever it went.
nobody_left() { ! grep -qszF "FAKE_DIR=$fake" /proc/[0-9]*/environ; }

# ---- the list of trials -----------------------------------------------------------------------------

begin "the same seed lists the same trials, another seed others, and a dry run leaves nothing"
rates 0.1
cat >"$case_dir/space.json" <<'END'
{"version": 1, "method": "random", "trials": 6, "seed": 4,
 "training": {"learning-rate": {"log_uniform": [0.001, 0.9]}, "seed": {"int": [1, 100]}}}
END
sweep 0 --dry-run && cp "$case_dir/out" "$case_dir/first"
sweep 0 --dry-run
expect cmp "$case_dir/first" "$case_dir/out"
expect [ "$(wc -l <"$case_dir/out")" = 6 ]
sweep 0 --dry-run --seed 5
expect [ "$(comm -12 <(sort "$case_dir/first") <(sort "$case_dir/out") | wc -l)" = 0 ]
sweep 0 --dry-run --json
expect says out '"schema": "penstock-sweep-trials/1", "seed": 4'
expect [ ! -e "$case_dir/sweep" ]

begin "what is wrong is refused with exit code 2 before any trial begins"
rates 0.1
sed -i 's/learning-rate/learning-speed/' "$case_dir/space.json"
sweep 2
expect says err "no run takes these options (learning-speed 0.1): "
expect says err "unrecognized option '--learning-speed=0.1'"
echo '{"version": 1, "method": "grid", "training": {"learning-rate": {"choice": []}}}' >"$case_dir/space.json"
sweep 2
expect says err "space.json: training.learning-rate.choice: 0 values"
echo '{"version": 1, "method": "grid", "training": {"learning-rate": {"int": [1, 2000]}}}' >"$case_dir/space.json"
sweep 2
expect says err "more than 1000 trials"
expect [ ! -e "$fake/began" ]
for arguments in "" "--parallel 0 x" "--parallel 65 x" "--seed -1 x" "x y" "--resume= " "--resume d x" "--resume d --seed 1" \
    "nowhere.json" "--resume nowhere"; do
    # shellcheck disable=SC2086 # several arguments
    (cd "$case_dir" && "$launcher" sweep $arguments >out 2>err)
    [ $? = 2 ] || fail "not refused: $arguments"
    expect [ -s "$case_dir/err" ]
done
rates 0.1
for own in "--run-dir x" "--progress-file=x" "--logdir x" "--check" "-- --output-dir x" "-- --logdir=x"; do
    # shellcheck disable=SC2086 # several arguments
    "$launcher" sweep "$case_dir/space.json" --sweep-dir "$case_dir/other" -- $own >"$case_dir/out" 2>"$case_dir/err"
    [ $? = 2 ] || fail "not refused: $own"
    expect says err "a sweep gives this to its runs itself"
done
expect [ ! -e "$case_dir/other" ]

# ---- a sweep ----------------------------------------------------------------------------------------

begin "every trial of a grid is run; the best is linked, told how to be repeated, and reported as JSON too"
rates 0.2 0.7 0.5
sweep 0 --parallel 2 --events
expect [ "$(outcomes)" = "1 finished,2 finished,3 finished" ]
expect [ "$(cat "$case_dir/sweep/best/outputs/model/model.safetensors")" = 0.7 ]
expect [ "$(readlink "$case_dir/sweep/best")" = trials/002 ]
expect says out "best trial     2: 70.00 %"
command="penstock run --ps 0 --workers 1 --bin-dir $case_dir/bin -- --epochs 3 --learning-rate=0.7"
expect says out "repeat it      $command"
expect [ "$(cat "$case_dir/sweep/trials/002/command")" = "$command" ]
expect says out "penstock models register --name NAME --path $case_dir/sweep/trials/002/outputs/model"
sweep 0 --json
expect says out '"best": {"trial": 2, "command": "penstock run'
expect [ "$(grep -c '"outcome": "finished"' "$case_dir/out")" = 3 ]
expect [ "$(grep -c '^' "$fake/began")" = 3 ] # nothing was run again
if (($(nproc) >= 2)); then
    expect [ "$(cat "$fake/0.2.processors")" != "$(cat "$fake/0.7.processors")" ]
fi

begin "the goal may be a loss"
space=', "goal": {"metric": "loss"}' rates 0.2 0.7 0.5
sweep 0
expect says out "best trial     2: 0.3000"

begin "a run that is worse than the median is stopped early"
space=', "early_stopping": {"policy": "median", "others": 2}' rates 0.5 0.6 0.1 0.7
hold 0.1
sweep 0
expect [ "$(outcomes)" = "1 finished,2 finished,3 stopped,4 finished" ]
expect says out "epoch 1: 0.1 is worse than the median of 2 runs, 0.55"
expect [ "$(readlink "$case_dir/sweep/best")" = trials/004 ]
expect nobody_left

begin "a run that is not within the slack of the best is stopped early"
space=', "early_stopping": {"policy": "bandit", "slack": 0.1}' rates 0.6 0.5 0.58
hold 0.5
sweep 0
expect [ "$(outcomes)" = "1 finished,2 stopped,3 finished" ]
expect says out "epoch 1: 0.5 is not within a slack of 0.1 of the best run, 0.6"

begin "when the time is over, the runs are stopped, and what was found is reported"
space=', "budget": {"seconds": 0.2}' rates 0.6 0.5 0.4
hold 0.6
sweep 1
expect [ "$(outcomes)" = "1 stopped" ]
expect says out "the time of the sweep was over"
expect says out "2 not tried"
expect nobody_left

# ---- failures ---------------------------------------------------------------------------------------

begin "a trial that fails is recorded, the others go on, and it is tried again if that is wanted"
rates 0.2 0.7 0.5
touch "$fake/0.7.fail"
sweep 0
expect [ "$(outcomes)" = "1 finished,2 failed,3 finished" ]
expect says out "(exit code 3: error   worker/0  the data are bad)"
expect [ "$(readlink "$case_dir/sweep/best")" = trials/003 ]
rm "$fake/0.7.fail"
sweep 0
expect [ "$(times_begun 0.7)" = 1 ]
sweep 0 --retry-failed
expect [ "$(times_begun 0.7)" = 2 ]
expect [ "$(readlink "$case_dir/sweep/best")" = trials/002 ]

begin "more failures than may be end the sweep, and one in which all fail has failed"
space=', "budget": {"failures": 1}' rates 0.1 0.2 0.3
touch "$fake"/0.{1,2,3}.fail
sweep 1
expect [ "$(outcomes)" = "1 failed,2 failed" ]
expect says err "2 trials have failed, more than the 1 that may"
rates 0.1
rm -r "$case_dir/sweep"
sweep 1
expect says out "no trial has finished with a result"

# ---- interruptions ----------------------------------------------------------------------------------

begin "after kill -9 nothing is left, finished trials stand, and those half done are run again"
rates 0.2 0.7 0.5 0.6
hold 0.5
begin_sweep --parallel 2
await journal_has 3
await has_begun 0.5
kill -KILL "${pids[sweep]}"
await_end sweep 137
await nobody_left
rm "$fake/0.5.hold"
printf '{"trial": 1, "outco' >>"$case_dir/sweep/trials.jsonl" # cut by a crash
sweep 0
expect [ "$(outcomes)" = "1 finished,2 finished,3 finished,4 finished" ]
expect [ "$(times_begun 0.5)" = 2 ]
expect [ "$(sort "$fake/began" | uniq -c | awk '$1 > 1 { print $2 }')" = 0.5 ]
expect [ "$(readlink "$case_dir/sweep/best")" = trials/002 ]

begin "killed whenever one more trial has begun, it comes to the same end"
rates 0.1 0.2 0.3 0.4 0.5 0.6
for rate in 0.1 0.3 0.4 0.6; do
    hold "$rate"
    begin_sweep
    await has_begun "$rate"
    kill -KILL "${pids[sweep]}"
    await_end sweep 137
    await nobody_left
    rm "$fake/$rate.hold"
done
(cd "$case_dir" && "$launcher" sweep --resume sweep >out 2>err) && fail "went on in another folder"
expect says err "was begun in"
FAKE_DIR=$fake "$launcher" sweep --resume "$case_dir/sweep" >"$case_dir/out" 2>&1 || fail "does not go on: $(cat "$case_dir/out")"
expect [ "$(outcomes)" = "1 finished,2 finished,3 finished,4 finished,5 finished,6 finished" ]
expect says out "best trial     6: 60.00 %"

for signal in INT TERM; do
    begin "SIG$signal ends the runs, the exit code tells of it, and the sweep can go on"
    rates 0.2 0.7 0.5
    hold 0.7
    begin_sweep
    await has_begun 0.7
    kill -"$signal" "${pids[sweep]}"
    await_end sweep $((128 + $(kill -l "$signal")))
    expect log_says sweep "ending 1 runs after SIG$signal"
    expect nobody_left
    expect [ "$(outcomes)" = "1 finished" ]
    rm "$fake/0.7.hold"
    sweep 0
    expect [ "$(outcomes)" = "1 finished,2 finished,3 finished" ]
done

begin "another space, seed or options do not go on with it, and only one process does"
rates 0.2 0.7
hold 0.7
begin_sweep
await has_begun 0.7
sweep 1
expect says err "another process is at work on the sweep"
rm "$fake/0.7.hold"
await_end sweep 0
sweep 2 --seed 2
expect says err "another seed"
# Written in another way it is the same.
sed -i 's/, "method"/,\n "method"/' "$case_dir/space.json"
sweep 0
rates 0.2 0.7 0.9
sweep 2
expect says err "another space"
rates 0.2 0.7
"$launcher" sweep "$case_dir/space.json" --sweep-dir "$case_dir/sweep" -- --ps 0 --workers 1 --bin-dir "$case_dir/bin" -- \
    --epochs 3 --seed=2 >"$case_dir/out" 2>"$case_dir/err"
expect [ $? = 2 ]
expect says err "another training options"
echo '{"trial": 3}' >>"$case_dir/sweep/trials.jsonl"
sweep 3
expect says err "trials.jsonl: line 3: trial must be a whole number from 1 to 2"

# ---- real daemons -----------------------------------------------------------------------------------

begin "real daemons: options that no worker knows are refused, the same sweep gives the same results twice"
make_data "$scratch/data" 600
cat >"$case_dir/space.json" <<'END'
{"version": 1, "method": "random", "trials": 4, "seed": 2, "run": {"ps": {"choice": [1, 2]}},
 "training": {"learning-rate": {"log_uniform": [0.001, 0.3]}, "batch-size": {"choice": [10, 20]},
              "hidden": {"choice": ["16", "16,8"]}}}
END
options=(-- --workers 2 -- --data-folder "$scratch/data" --epochs 2)
for name in one two; do
    run_program $name 0 "$launcher" sweep "$case_dir/space.json" --sweep-dir "$case_dir/$name" --parallel 2 --json "${options[@]}"
    sed -E 's/"(seconds|folder)": [^,]*,//g' "$case_dir/$name.log" >"$case_dir/$name.json"
done
expect [ "$(grep -c '"outcome": "finished"' "$case_dir/one.json")" = 4 ]
expect cmp "$case_dir/one.json" "$case_dir/two.json"
expect cmp "$case_dir/one/best/outputs/model/model.safetensors" "$case_dir/two/best/outputs/model/model.safetensors"
run_program registered 0 "$launcher" models register --registry "$case_dir/registry" --name swept \
    --path "$case_dir/one/best/outputs/model"
read -r -a command <"$case_dir/one/best/command"
run_program repeat 0 "$launcher" run --run-dir "$case_dir/repeat" "${command[@]:2}"
expect cmp "$case_dir/one/best/outputs/model/model.safetensors" "$case_dir/repeat/outputs/model/model.safetensors"
sed -i 's/batch-size/batch-sise/' "$case_dir/space.json"
run_program unknown 2 "$launcher" sweep "$case_dir/space.json" --sweep-dir "$case_dir/three" "${options[@]}"
expect_log unknown "unrecognized option '--batch-sise="
expect [ ! -e "$case_dir/three" ]

begin "real daemons: a run with checkpoints that was half done goes on from them, to the same model"
cat >"$case_dir/space.json" <<'END'
{"version": 1, "method": "grid", "training": {"learning-rate": {"choice": [0.05]}}}
END
options=(-- --ps 1 --workers 2 --checkpoint-steps 20 -- --data-folder "$scratch/data" --batch-size 10 --hidden 16 --epochs 30)
has_checkpoint() { compgen -G "$case_dir/broken/trials/001/checkpoints/step-*" >/dev/null; }
start sweep "$launcher" sweep "$case_dir/space.json" --sweep-dir "$case_dir/broken" "${options[@]}"
await has_checkpoint
kill -KILL "${pids[sweep]}"
await_end sweep 137
daemons_have_ended() { ! grep -qsF "$case_dir/broken" /proc/[0-9]*/cmdline; }
await daemons_have_ended
run_program sweep 0 "$launcher" sweep --resume "$case_dir/broken"
run_program whole 0 "$launcher" sweep "$case_dir/space.json" --sweep-dir "$case_dir/whole" "${options[@]}"
expect cmp "$case_dir/broken/best/outputs/model/model.safetensors" "$case_dir/whole/best/outputs/model/model.safetensors"
evaluations() { grep -o '"evaluations": .*' "$case_dir/$1/trials.jsonl"; }
expect [ "$(evaluations broken)" = "$(evaluations whole)" ]

begin "penstock run --check asks the daemons, and starts nothing"
run_program checked 0 "$launcher" run --check --ps-option --threads --ps-option 2 -- --batch-size 20
run_program checked 2 "$launcher" run --check --ps-option --threats -- --batch-size 20
run_program checked 2 "$launcher" run --check -- --batch-size 0
expect_log checked "--batch-size: '0' is not a whole number"

finish
