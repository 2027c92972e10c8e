#!/bin/bash
# The page of a ps in a real browser, Debian's Chromium, while real daemons train: its figures are those of /status, faults
# become marks, a ps that is killed and started again costs neither the curve nor an error. Pictures of what it looked like
# are left in the build folder, tests/dashboard/. Likewise the page of penstock ui.
#
# Usage: dashboard.sh BUILD_FOLDER     exit code 77: there is no Chromium or Node.js here
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

here=$(realpath "$(dirname "$0")")
pictures=$build/tests/dashboard
data=${PENSTOCK_MNIST:?the folder of MNIST}
browser=$(command -v chromium chromium-browser | head -n 1)
if [ -z "$browser" ] || ! command -v node >/dev/null; then
    echo "there is no chromium or no node here (apt-get install chromium nodejs)"
    exit 77
fi
rm -rf "$pictures"
mkdir -p "$pictures"

# open_page   of ps 0, in a browser that does what `page` tells it.
open_page() {
    coproc driver { exec node "$here/dashboard.js" "$browser" "$case_dir/profile" "$case_dir/http-0" "$pictures" 2>&1; }
    pids[driver]=$driver_PID
}

# page COMMAND [ARGUMENT]   waits until it is done; see dashboard.js. What comes after would fail likewise.
page() {
    local answer
    echo "$*" >&"${driver[1]}"
    read -r answer <&"${driver[0]}" || answer="the browser has ended"
    [ "$answer" = done ] && return
    fail "page $*: $answer"
    for log in "$case_dir"/*.log; do fail_log "$(basename "$log" .log)" "so says"; done
    finish
}

start_ps() {
    start_task "ps-$1" "$(task "$cluster" ps "$1")" "$ps" --http-port "$2" --http-port-file "$case_dir/http-$1" \
        --lease-secs 3 --checkpoint-dir "$case_dir/cuts" --checkpoint-steps 40
}

start_worker() {
    start_task "worker-$1" "$(task "$cluster" worker "$1")" "$worker" --output-dir "$case_dir/outputs" \
        --data-folder "$data" --batch-size 100 --hidden 300,100 --optimizer momentum --learning-rate 0.03 \
        --schedule cosine --decay-steps 12000 --epochs 60
}

# stands_still   worker 2 does, and ps 0 waits for it: if it stops amid a push, that may be the other ps alone.
stands_still() {
    local before
    before=$(grep -c "waits for worker 2" "$case_dir/ps-0.log")
    kill -STOP "${pids[worker-2]}"
    for _ in {1..150}; do
        (($(grep -c "waits for worker 2" "$case_dir/ps-0.log") > before)) && return
        sleep 0.1
    done
    kill -CONT "${pids[worker-2]}"
    return 1
}

begin "figures, marks and the curve, through a killed ps and a worker that stands still"
cluster=$(dense 2 3)
port=$("$tools/free_ports" 1)
start_ps 0 "$port"
start_ps 1 0
await [ -s "$case_dir/http-0" ]
open_page
page waits
page picture waiting 1366 900 light
await [ -s "$case_dir/http-1" ]
for i in 0 1 2; do start_worker "$i"; done
page trains 120

await stands_still
page straggler 2
page picture straggler 1366 900 light
page mark fault
kill -CONT "${pids[worker-2]}"
page mark is heard of again
page trains 200

kill -KILL "${pids[ps-0]}"
wait "${pids[ps-0]}" 2>/dev/null
page silent
page picture silent 1366 900 light
start_ps 0 "$port"
page mark restart
page keeps
page trains 240

# At another port, which the others know.
kill -KILL "${pids[ps-0]}"
wait "${pids[ps-0]}" 2>/dev/null
page silent
start_ps 0 0
page keeps
page trains 260

for i in 1 2 0; do kill -STOP "${pids[worker-$i]}"; done
page same
for i in 0 1 2; do kill -CONT "${pids[worker-$i]}"; done
page trains 320
page keyboard
page picture desktop 1366 900 light
page picture dark 1366 900 dark
page picture phone 360 780 light
page picture phone-dark 390 844 dark
page fits 320
page fits 360
page fits 768
page clean

begin "a training that ends is shown as ended"
make_data "$scratch/data" 600
data=$scratch/data
cluster=$(dense 1 1)
start_ps 0 0
await [ -s "$case_dir/http-0" ]
open_page
start_task worker-0 "$(task "$cluster" worker 0)" "$worker" --output-dir "$case_dir/outputs" --data-folder "$data" \
    --batch-size 20 --hidden 16 --epochs 400
page ends
page picture ended 1366 900 light
page clean

begin "a page that needs a token asks for it, or has it from its address, and shows neither"
token=$(head -c 24 /dev/urandom | base64)
(umask 077 && echo "$token" >"$case_dir/token")
cluster=$(dense 1 1)
PENSTOCK_HTTP_TOKEN_FILE=$case_dir/token start_ps 0 0
await [ -s "$case_dir/http-0" ]
open_page
page token "$token"
kill_all

begin "penstock ui compares runs that have ended, and shows one"
run_options=(--data-folder "$PENSTOCK_MNIST" --batch-size 100 --epochs 5)
run_program slow 0 "$launcher" run --ps 2 --workers 2 --run-dir "$case_dir/runs/slow" -- "${run_options[@]}" \
    --learning-rate 0.003
run_program fast 0 "$launcher" run --ps 2 --workers 2 --run-dir "$case_dir/runs/fast" -- "${run_options[@]}" \
    --optimizer adam --learning-rate 0.001
start ui "$launcher" ui --http-port 0 --http-port-file "$case_dir/http-0" "$case_dir/runs"
await [ -s "$case_dir/http-0" ]
open_page
page compares fast slow
page picture runs 1366 900 light
page picture runs-dark 1366 900 dark
page picture runs-phone 360 780 light
page fits 320
page fits 768
page shows fast
page picture run 1366 900 light
page clean
finish
