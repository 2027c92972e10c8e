# shellcheck shell=bash
# shellcheck disable=SC2154 # cluster, options and what lib.sh sets come from those that source this
# lib_restarts.sh - for tests that kill and start again: to be sourced after lib.sh.
#
# `options` are the workers'; `ps_options` (lib.sh) those of the ps.

# A cluster whose tasks can be started one by one, and again.
describe() {
    cluster=$(dense "$1" "$2")
}

start_ps() {
    start_again "ps-$1" "$(task "$cluster" ps "$1")" "$ps" "${ps_options[@]}"
}

start_worker() {
    start_again "worker-$1" "$(task "$cluster" worker "$1")" "$worker" --output-dir "$case_dir/outputs" "${options[@]}"
}

# As start_task, but the log goes on.
start_again() {
    local name=$1 config=$2
    shift 2
    env "TF_CONFIG=$config" "$@" >>"$case_dir/$name.log" 2>&1 </dev/null &
    pids[$name]=$!
}

start_all() {
    local i
    for ((i = 0; i < $1; i++)); do start_ps "$i"; done
    for ((i = 0; i < $2; i++)); do start_worker "$i"; done
}

kill_hard() {
    local name
    for name in "$@"; do
        kill -KILL "${pids[$name]}" || fail "$name has ended before it was killed"
    done
    for name in "$@"; do
        wait "${pids[$name]}" 2>/dev/null
        unset "pids[$name]"
    done
}

# Until a checkpoint of at least that step has been written by a ps.
has_checkpoint_from() {
    local newest
    newest=$(sed -nE 's/.*checkpoint of step ([0-9]+) written.*/\1/p' "$case_dir/$1.log" | tail -n 1)
    ((${newest:-0} >= $2))
}

# ends_with_the_same_bits NAME   as $scratch/plain.safetensors has them.
ends_with_the_same_bits() {
    await_all
    keep_model "$1"
    cp "$scratch/plain.safetensors" "$case_dir/plain.safetensors"
    same_model plain "$1"
}
