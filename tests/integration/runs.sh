#!/bin/bash
# `penstock runs`: what a run leaves, however it ends, and what is made of it; with daemons that only play their part.
#
# Usage: runs.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_registry.sh
source "$(dirname "$0")/lib_registry.sh"

train_is() {
    local code=$1
    shift
    penstock_is "$code" run --quiet --bin-dir bin "$@"
}

# Trains in the background, as process NAME.
start_training() {
    local name=$1
    shift
    start "$name" env --chdir "$case_dir" "$launcher" run --quiet --bin-dir bin "$@"
}

# has_accuracy ID ACCURACY   what worker 0 has come to is recorded.
has_accuracy() {
    "$launcher" runs show "$1" | grep -qE "^  worker-0 .* $2 "
}

# The id of the newest run.
newest() {
    "$launcher" runs list | tail -n 1 | cut -d' ' -f1
}

# kill_somewhere NAME MS   kills process NAME, once it is the launcher, after at most so many milliseconds; whether it
# was still alive then.
kill_somewhere() {
    local pid=${pids[$1]}
    until [ ! -e "/proc/$pid/exe" ] || [ "/proc/$pid/exe" -ef "$launcher" ]; do :; done
    sleep "$(printf '0.%03d' $((RANDOM % $2)))"
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    local code=$?
    unset "pids[$1]"
    [ "$code" = 137 ]
}

# No run goes on, and no lock is left. A child of a launcher that was killed, and has not yet been started, holds its
# lock for another moment.
all_are_over() {
    "$launcher" runs list >"$case_dir/out" && ! grep -qE " (Preparing|Running|Finalizing) " "$case_dir/out" &&
        [ -z "$(ls -A "$case_dir/home/live")" ]
}

begin_runs "a run that ends well: its row, phases, metrics, and the data it was trained on"
mkdir "$case_dir/data"
echo images >"$case_dir/data/train-images"
echo labels >"$case_dir/data/train-labels"
train_is 0 --experiment mnist -- --data-folder data --note "a 'b'"
run=$(newest)
[ -d "$case_dir/runs/$run/outputs" ] || fail "the folder of the run is not named after it"
penstock_is 0 runs list
says out "^$run  mnist +Completed +20[0-9T:Z-]+ +[0-9.]+ +2 +3 +400  +0.9771 +- +30100$"
penstock_is 0 runs show "$run"
says out "^options +--data-folder data --note 'a '.''b'.'''$"
says out "^exit code +0$"
says out "^data +$(cd "$case_dir/data" && LC_ALL=C sha256sum ./* | sed 's|\./||' | sha256sum | cut -d' ' -f1)$"
for phase in Preparing Running Finalizing Completed; do says out "^  $phase  +20[0-9T:Z-]+ +[+][0-9.]+ s$"; done
says out "^  worker-0 +1.00 +400 +0.9530 +0.1600 +2.4$"
penstock_is 0 runs show --json "$run"
says out '^\{"event": "step"|"event": "step", "step": 400, "epoch": 1, "loss": 0.31, "images_per_s": 40000, "seconds": 1.9\}'
says out '"versions": \{"penstock": "[0-9.]+", "system": "Linux '
says "runs/$run/run.json" '"phase": "Completed"'
[ -z "$(ls -A "$case_dir/home/live")" ] || fail "a lock is left"

begin_runs "a run that fails says who failed; one that is canceled is Canceled"
mode worker-1 fail 3 2
mode worker-0 wait_for_signal
train_is 3 --experiment mnist
run=$(newest)
penstock_is 0 runs show "$run"
says out "^phase +Failed$"
says out "^reason +worker-1 failed with exit code 3$"
says out "^exit code +3$"
penstock_is 0 runs logs "$run"
says out "^worker-1 +\| line 2 of worker-1$"
penstock_is 0 runs logs "$run" --task ps-0
[ "$(grep -vc '^ps-0 ' "$case_dir/out")" = 0 ] || fail "--task shows others too"
refuses 2 "the run $run has no log of ps-7" runs logs "$run" --task ps-7
rm -f "$case_dir/fake/worker-1.mode" "$case_dir/fake/worker-0.pid"
start_training training --experiment other
await test -s "$case_dir/fake/worker-0.pid"
canceled=$(newest)
await phase_is "$canceled" Running
refuses 1 "the run $canceled is not over: it is Running on .*; penstock runs cancel ends it" runs rm "$canceled"
start follower "$launcher" runs logs -f "$canceled"
await_log follower "worker-1 trains"
penstock_is 0 runs cancel "$canceled"
says out "^asked $canceled to end$"
await_end training 143
await_end follower 0
penstock_is 0 runs show "$canceled"
says out "^phase +Canceled$"
says out "^reason +ended by SIGTERM$"
refuses 2 "the run $canceled is over: it is Canceled" runs cancel "$canceled"
penstock_is 0 runs list --experiment other
[ "$(wc -l <"$case_dir/out")" = 2 ] || fail "the list of an experiment has others"
penstock_is 0 runs compare "$run" "$canceled"
says out "^phase +Failed +Canceled *$"

begin_runs "a launcher that is killed: the next look finds that the run has failed"
mode worker-0 wait_for_signal
start_training training
await test -s "$case_dir/fake/worker-0.pid"
run=$(newest)
await phase_is "$run" Running
await has_accuracy "$run" 0.9530
kill -KILL "${pids[training]}"
wait "${pids[training]}" 2>/dev/null
unset "pids[training]"
penstock_is 0 runs list
says out "^$run  default +Failed "
penstock_is 0 runs show "$run"
says out "^reason +its launcher was killed, or its host went down$"
says out "^  worker-0 +1.00 +400 +0.9530"
[ -z "$(ls -A "$case_dir/home/live")" ] || fail "a lock is left"
penstock_is 0 runs rm "$run"
says out "^removed $run and its folder$"
[ ! -e "$case_dir/runs/$run" ] || fail "the folder is still there"
refuses 2 "there is no run $run" runs show "$run"

begin_runs "several at once, in one registry"
for i in 1 2 3 4; do start_training "training-$i" --workers 1 --ps 1; done
await_all
penstock_is 0 runs list
[ "$(grep -c ' Completed ' "$case_dir/out")" = 4 ] || fail "not all are there: $(cat "$case_dir/out")"
[ "$(find "$case_dir/runs" -mindepth 1 -maxdepth 1 | wc -l)" = 4 ] || fail "they have not each a folder"

begin_runs "two launchers at once, killed at random: every run is over, and no lock is left"
RANDOM=3
wanted=$(scaled 20) kills=0
begun=$(date +%s%N)
train_is 0 --workers 1 --ps 1
took_ms=$((($(date +%s%N) - begun) / 1000000))
# The first kill comes within half of that, so that the second one hits too. What has ended before is no kill.
most_ms=$((took_ms / 2 < 999 ? took_ms / 2 + 1 : 999))
for ((round = 0; kills < wanted && failures == 0; round++)); do
    [ "$round" -lt $((10 * wanted)) ] || fail "in $round rounds only $kills of $wanted kills have hit"
    start_training one --workers 1 --ps 1
    start_training two --workers 1 --ps 1
    ! kill_somewhere one "$most_ms" || kills=$((kills + 1))
    ! kill_somewhere two "$most_ms" || kills=$((kills + 1))
    await all_are_over
done
penstock_is 0 run --quiet --bin-dir bin
penstock_is 0 runs list
says out " Completed "
sed 1d "$case_dir/out" | cut -d' ' -f1 >"$case_dir/ids"
while read -r run; do
    penstock_is 0 runs show "$run"
    phase=$(sed -nE 's/^phase +//p' "$case_dir/out")
    says "runs/$run/run.json" "\"phase\": ?\"$phase\""
done <"$case_dir/ids"

begin_runs "a folder that is named stays, and holds the metrics of one run after the other"
train_is 0 --run-dir 'a folder'
first=$(newest)
train_is 0 --run-dir 'a folder' --workers 2 -- --epochs=7
second=$(newest)
for run in "$first" "$second"; do
    penstock_is 0 runs show "$run"
    [ "$(grep -c '^  worker-0 ' "$case_dir/out")" = 1 ] || fail "the metrics of $run are not its own"
done
penstock_is 0 runs compare "$first" "$second"
says out "^--epochs +- +7 *$"
says out "^workers +3 +2 *$"
says out "^accuracy +0.9771 +0.9771 *$"
penstock_is 0 runs rm "$first"
says out "^removed $first; its folder .*a folder stays$"
[ -e "$case_dir/a folder/run.json" ] || fail "the folder is gone"

begin_runs "a model keeps what is known of its run, also when that is gone"
train_is 0 --experiment mnist -- --epochs 7
run=$(newest)
mkdir "$case_dir/runs/$run/outputs/model"
echo weights >"$case_dir/runs/$run/outputs/model/model.safetensors"
penstock_is 0 models register --name x --run "$run"
penstock_is 0 runs rm "$run"
penstock_is 0 models show x
says out "^run +$run$"
says out "^  options +--epochs 7$"
says out "^  accuracy +0.9771$"
penstock_is 0 models show --json x
says out '"options": \["--epochs", "7"\]'

begin_runs "what is refused; and what is not, for plain training"
refuses 2 "there is no registry in .*/home" runs list
refuses 2 "the experiment name 'A' holds 'A'" run --bin-dir bin --experiment A
train_is 0
refuses 2 "the run name '\.\./x' holds '/'" runs show ../x
refuses 2 "there is no run x" runs show x
refuses 2 "which run is missing: its ID" runs show
refuses 2 "which runs is missing: two or more IDs" runs compare x
echo file >"$case_dir/file"
refuses 1 "cannot make folder .*file" run --bin-dir bin --registry file
export PENSTOCK_HOME=$case_dir/file
(cd "$case_dir" && exec "$launcher" run --quiet --bin-dir bin) >"$case_dir/out" 2>"$case_dir/err" || fail "it does not train"
says err "^penstock run: penstock runs will not know of this run: cannot make folder .*file"
[ "$(find "$case_dir/runs" -name run.json | wc -l)" = 2 ] || fail "the record is not in its folder"
finish
