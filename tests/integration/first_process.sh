#!/bin/bash
# Every program as PID 1, as in a container without an init: SIGTERM and SIGINT end it with the code that is documented,
# also before it has got as far as to expect them, and orphans do not pile up as zombies.
#
# Usage: first_process.sh BUILD_FOLDER     exit code 77: it may not make process namespaces here
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

namespaces=(--pid --mount)
[ "$EUID" = 0 ] || namespaces+=(--user)
enter=("${namespaces[@]}")
[ "$EUID" = 0 ] || namespaces+=(--map-root-user)
unshare "${namespaces[@]}" --fork --mount-proc true 2>"$scratch/refusal" || {
    cat "$scratch/refusal"
    exit 77
}

# start_first NAME COMMAND...   as PID 1 of a namespace of its own.
start_first() {
    start "$1" unshare "${namespaces[@]}" --fork --mount-proc --kill-child "${@:2}"
}

# The process itself, as seen from here: the child of unshare, once that has become it.
first() {
    local child
    child=$(cat "/proc/${pids[$1]}/task/${pids[$1]}/children" 2>/dev/null)
    [ -n "$child" ] && [ "$(readlink "/proc/${child% }/exe")" != "$(command -v unshare | xargs realpath)" ] && echo "${child% }"
}

is_first() {
    [ -n "$(first "$1")" ]
}

# ends_by NAME SIGNAL CODE
ends_by() {
    await is_first "$1" && kill "-$2" "$(first "$1")"
    await_end "$1" "$3"
}

# What somebody who comes in with `kubectl exec` leaves behind: children of nobody, then of PID 1.
leave_orphans() {
    nsenter --target "$(first "$1")" "${enter[@]}" sh -c '(sleep 0.1 & sleep 0.1 &) & exit 0'
}

# None of them is left, as a zombie or alive.
orphans_are_gone() {
    local child children
    read -ra children <"/proc/$1/task/$1/children"
    for child in "${children[@]}"; do
        ! grep -qsE '\((sh|sleep)\)' "/proc/$child/stat" || return 1
    done
}

takes_orphans() {
    leave_orphans "$1"
    await orphans_are_gone "$(first "$1")"
}

# A file that is read for ever: its writer, who says when it is, writes nothing.
make_endless() {
    endless=$(mktemp -u "$case_dir/endless.XXXXXX")
    mkfifo "$endless"
    start writer bash -c 'exec 3>"$1"; echo "is read"; exec sleep 1000' writer "$endless"
}

make_data "$scratch/data" 500
long=(--data-folder "$scratch/data" --steps 100000000 --evaluate-every 0)
cluster='{"ps": ["127.0.0.1:'$("$tools/free_ports" 1)'"], "worker": ["worker.example:2222"]}'

for signal in TERM INT; do
    begin "a ps and its worker end by SIG$signal with 143, and take orphans"
    start_first ps env "TF_CONFIG=$(task "$cluster" ps 0)" "$ps"
    start_first worker env "TF_CONFIG=$(task "$cluster" worker 0)" "$worker" "${long[@]}" --output-dir "$case_dir/outputs"
    await_log worker "step"
    takes_orphans ps
    takes_orphans worker
    ends_by worker $signal 143
    ends_by ps $signal 143
done

begin "a program that waits in its configuration ends by SIGTERM"
for program in "$ps" "$worker"; do
    make_endless
    start_first early "$program" --cluster "$endless" --task worker:0
    await_log writer "is read"
    ends_by early TERM 143
done

begin "a server of models ends by SIGTERM with 143, and takes orphans"
run_program training 0 "$worker" --data-folder "$scratch/data" --steps 10 --output-dir "$scratch/outputs"
start_first serve "$launcher" serve --port 0 "$scratch/outputs/model"
await_log serve "serving model"
takes_orphans serve
ends_by serve TERM 143

begin "a command that takes no care of signals ends by SIGTERM"
start ps env "TF_CONFIG=$(task "$cluster" ps 0)" "$ps" --http-port 0 --http-port-file "$case_dir/http"
await test -s "$case_dir/http"
start_first watch "$launcher" status --watch "$(cat "$case_dir/http")"
await_log watch "waiting"
ends_by watch TERM 143

begin "the launcher ends by SIGTERM with 143, takes orphans, and trains to the end"
start_first run "$launcher" run --ps 1 --workers 2 --run-dir "$case_dir/run" -- "${long[@]}"
await grep -qs "step" "$case_dir/run/logs/worker-0.log"
takes_orphans run
ends_by run TERM 143
start_first short "$launcher" run --ps 1 --workers 2 --run-dir "$case_dir/short" -- --data-folder "$scratch/data" --steps 20
await_end short 0
expect [ -s "$case_dir/short/outputs/model/model.safetensors" ]

finish
