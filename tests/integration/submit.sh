#!/bin/bash
# `penstock submit`: what a described job starts, how it is followed, and what is refused; with daemons that only play
# their part.
#
# Usage: submit.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_registry.sh
source "$(dirname "$0")/lib_registry.sh"
begin_jobs() {
    begin_runs "$1"
    mkdir "$case_dir/jobs" "$case_dir/jobs/mnist"
    echo images >"$case_dir/jobs/mnist/train-images"
}

# job TEXT   describes one.
job() {
    echo "{\"schema\": \"penstock-job/1\"${1:+, $1}}" >"$case_dir/jobs/job.json"
}

submit_is() {
    local code=$1
    shift
    penstock_is "$code" submit --bin-dir bin "$@" jobs/job.json
}

begin_jobs "a job runs as described, and is followed to its end"
job '"experiment": "mnist", "data": "mnist", "ps": 1, "workers": 2, "evaluator": true, "environment": {"MARK": "a b"},
    "options": {"batch-size": 50, "learning-rate": 0.01}, "launcher": {"log-level": "debug"}, "ps_options": ["--x"]'
submit_is 0 --wait --show-output
says out "^submitted ([0-9-]+-[0-9a-f]{6}); penstock runs logs -f"
says out "^launcher +\| test accuracy +97.71 %$"
says out "^worker-1 +\| worker-1 trains$"
says out " is Completed$"
run=$(sed -nE 's/^submitted ([^;]*);.*/\1/p' "$case_dir/out")
penstock_is 0 runs list --experiment mnist
says out "^$run  mnist +Completed .* +1 +2 "
says fake/worker-1.args "^--batch-size=50$"
says fake/worker-1.args "^--learning-rate=0.01$"
says fake/worker-1.args "^$(realpath "$case_dir")/jobs/mnist$"
says fake/worker-1.args "^debug$"
says fake/ps-0.args "^--x$"
says fake/worker-1.env "^MARK=a b$"
[ -e "$case_dir/fake/evaluator-0.args" ] || fail "there is no evaluator"
penstock_is 0 runs rm "$run"
[ ! -e "$case_dir/runs/$run" ] || fail "its folder is still there"

begin_jobs "who does not wait has the id, and can cancel"
mode worker-0 wait_for_signal
job '"workers": 1'
submit_is 0 --json --experiment other
run=$(sed -nE 's/^\{"run": "([^"]*)", "folder": "runs\/[^"]*"\}$/\1/p' "$case_dir/out")
await test -s "$case_dir/fake/worker-0.pid"
await phase_is "$run" Running
penstock_is 0 runs cancel "$run"
penstock_is 0 runs logs -f "$run"
await phase_is "$run" Canceled
start waiter env --chdir "$case_dir" "$launcher" submit --bin-dir bin --wait jobs/job.json
await_log waiter "submitted "
run=$(sed -nE 's/^submitted ([^;]*);.*/\1/p' "$case_dir/waiter.log")
await phase_is "$run" Running
kill -KILL "${pids[waiter]}"
wait "${pids[waiter]}" 2>/dev/null
unset "pids[waiter]"
phase_is "$run" Running || fail "the run has ended with the one who waited"
penstock_is 0 runs cancel "$run"
penstock_is 0 runs logs -f "$run"
says out "^launcher +\| penstock run: ended by SIGTERM"

begin_jobs "a run that fails gives its exit code to who waits"
mode worker-0 fail 3 2
job
submit_is 3 --wait
says out " is Failed: worker-0 failed with exit code 3$"

begin_jobs "what is refused"
job '"woker": 3'
submit_is 2
says err "^penstock submit: jobs/job.json: 'woker' is not known; there is: schema,"
job '"data": "absent"'
submit_is 2
says err "data: cannot find jobs//absent: No such file"
job
submit_is 2 --data absent
says err "^penstock submit: --data: cannot find absent"
submit_is 2 --show-output
says err "^penstock submit: --show-output needs --wait$"
penstock_is 2 submit
says err "^penstock submit: the file that describes the job is missing$"
penstock_is 3 submit absent.json
says err "^penstock submit: cannot open absent.json: No such file"
job '"launcher": {"restart-often": 1}'
submit_is 2 --wait
says err "unrecognized option '--restart-often=1'"
[ "$("$launcher" runs list | wc -l)" = 1 ] || fail "a job that was refused is a run"
job
penstock_is 2 submit --bin-dir absent jobs/job.json
says err "no program penstock-worker in the folder absent given by --bin-dir"
finish
