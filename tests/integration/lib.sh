# shellcheck shell=bash
# shellcheck disable=SC2034 # the variables are for those that source this
# lib.sh - what the tests of the real daemons share: a folder, data, ports, processes, and their ends.
#
# A test is called with the build folder and begins with
#
#     source "$(dirname "$0")/lib.sh" "$@"
#     begin "what should be so"
#     ...
#     finish
#
# Processes are known by a name; their output goes to $case_dir/NAME.log. Nothing here depends on how fast a
# machine is: all waiting is for a condition, with a deadline that only a broken program reaches. What a
# test started is killed when it ends, however it ends.
#
# PENSTOCK_TEST_SCALE, in percent, says how much of the training to do; sanitizers make it slow.
set -u

build=$(realpath "${1:?the build folder}")
ps=$build/ps/penstock-ps
worker=$build/worker/penstock-worker
launcher=$build/deploy/penstock
tools=$build/tests
scale=${PENSTOCK_TEST_SCALE:-100}
PATIENCE_S=${PATIENCE_S:-300} # for what must happen, such as the end of a whole training under sanitizers on a busy machine

scratch=$(mktemp -d)
failures=0
case_dir=$scratch
declare -A pids=()
unset TF_CONFIG PENSTOCK_FROM_ORDINAL JOB_COMPLETION_INDEX POD_NAME
# Other kernels make other bits, and what starts with an environment of its own knows nothing of this choice.
unset OPENBLAS_CORETYPE
# What runs leave in a registry is not left in that of whoever tests.
export PENSTOCK_HOME=$scratch/registry

kill_all() {
    local name
    for name in "${!pids[@]}"; do
        kill -KILL "${pids[$name]}" 2>/dev/null
        wait "${pids[$name]}" 2>/dev/null
    done
    pids=()
}

trap 'kill_all; rm -rf "$scratch"' EXIT
trap 'exit 143' TERM INT HUP

# ---- cases ------------------------------------------------------------------------------------------

fail() {
    echo "  FAILED: $*"
    failures=$((failures + 1))
}

# fail, with the last lines of the log of a process.
fail_log() {
    fail "${@:2}"
    tail -n 15 "$case_dir/$1.log" 2>/dev/null | sed "s/^/    $1: /"
}

# A new case, with a folder of its own; processes left over from the one before are killed.
begin() {
    kill_all
    echo "$1"
    case_dir=$(mktemp -d "$scratch/case.XXXXXX")
}

finish() {
    kill_all
    [ "$failures" = 0 ] || echo "$failures failures"
    exit $((failures > 0))
}

expect() {
    "$@" || fail "not so: $*"
}

# Fraction of a number of steps or rows that this run is to do, at least 1.
scaled() {
    local part=$(($1 * scale / 100))
    echo $((part > 0 ? part : 1))
}

make_data() {
    mkdir -p "$1"
    "$tools/make_idx" "$1" "$2" "${3:-200}" "${4:-12}" || exit 1
}

# ---- processes --------------------------------------------------------------------------------------

# start NAME COMMAND...   in the background.
start() {
    local name=$1
    shift
    : >"$case_dir/$name.log" # now: what one of that name has said before is not to be found in it
    "$@" >"$case_dir/$name.log" 2>&1 </dev/null &
    pids[$name]=$!
}

# start_task NAME TF_CONFIG PROGRAM OPTION...
start_task() {
    local name=$1 config=$2
    shift 2
    start "$name" env "TF_CONFIG=$config" "$@"
}

is_running() {
    [ -n "${pids[$1]:-}" ] && kill -0 "${pids[$1]}" 2>/dev/null
}

log_says() {
    grep -qsF -- "$2" "$case_dir/$1.log"
}

expect_log() {
    log_says "$1" "$2" || fail_log "$1" "$1 does not say '$2'"
}

await() {
    local deadline=$((SECONDS + PATIENCE_S))
    until "$@"; do
        if ((SECONDS > deadline)); then
            fail "waited $PATIENCE_S s for: $*"
            return 1
        fi
        sleep 0.05
    done
}

# await_standstill COMMAND...   until what it prints has been the same for some seconds: what was under way when
# processes were stopped is done, and shown.
await_standstill() {
    local before="" now same=0 deadline=$((SECONDS + PATIENCE_S))
    while ((same < 3)); do
        if ((SECONDS > deadline)); then
            fail "waited $PATIENCE_S s for a standstill of: $*"
            return 1
        fi
        sleep 1
        now=$("$@")
        [ "$now" = "$before" ] && same=$((same + 1)) || same=0
        before=$now
    done
}

# Until the log of a running process holds a text.
await_log() {
    local deadline=$((SECONDS + PATIENCE_S))
    until log_says "$1" "$2"; do
        if ((SECONDS > deadline)) || ! is_running "$1"; then
            log_says "$1" "$2" && return
            fail_log "$1" "$1 ended or waited $PATIENCE_S s without saying '$2'"
            return 1
        fi
        sleep 0.05
    done
}

has_ended() {
    ! is_running "$1"
}

# await_end NAME CODE   the process ends, with this exit code.
await_end() {
    local name=$1 wanted=$2 code
    if ! await has_ended "$name"; then
        kill -KILL "${pids[$name]}"
        wait "${pids[$name]}" 2>/dev/null
        fail_log "$name" "$name does not end"
        unset "pids[$name]"
        return 1
    fi
    wait "${pids[$name]}"
    code=$?
    unset "pids[$name]"
    [ "$code" = "$wanted" ] && return
    fail_log "$name" "$name ended with $code instead of $wanted"
    return 1
}

# await_all   everything that was started ends, with 0. One that fails leaves the others waiting for it: they are
# killed.
await_all() {
    local name
    while [ "${#pids[@]}" -gt 0 ]; do
        await some_have_ended || break
        for name in "${!pids[@]}"; do
            is_running "$name" || await_end "$name" 0 || break 2
        done
    done
    kill_all
}

some_have_ended() {
    local name
    for name in "${!pids[@]}"; do
        is_running "$name" || return 0
    done
    return 1
}

# run_program NAME CODE COMMAND...   to its end.
run_program() {
    local name=$1 code=$2
    shift 2
    start "$name" "$@"
    await_end "$name" "$code"
}

# ---- clusters ---------------------------------------------------------------------------------------

# The JSON list of N addresses on this host: free ports for those that listen, names that are never looked up
# for the others.
listening() {
    "$tools/free_ports" "$1" | sed 's/.*/"127.0.0.1:&"/' | paste -sd,
}

not_listening() {
    local i list=""
    for ((i = 0; i < $2; i++)); do
        list+="${list:+,}\"$1-$i.example:2222\""
    done
    echo "$list"
}

# task CLUSTER TYPE INDEX   the TF_CONFIG of one task.
task() {
    echo "{\"cluster\": $1, \"task\": {\"type\": \"$2\", \"index\": $3}}"
}

# Options that every ps of a cluster is given.
ps_options=()

# start_cluster CLUSTER PS WORKERS OPTION...   every ps and worker of a dense cluster, by hand.
start_cluster() {
    local cluster=$1 servers=$2 workers=$3 i
    shift 3
    for ((i = 0; i < servers; i++)); do
        start_task "ps-$i" "$(task "$cluster" ps "$i")" "$ps" "${ps_options[@]}"
    done
    for ((i = 0; i < workers; i++)); do
        start_task "worker-$i" "$(task "$cluster" worker "$i")" "$worker" \
            --output-dir "$case_dir/outputs" "$@"
    done
}

# dense PS WORKERS   a cluster without a chief.
dense() {
    echo "{\"ps\": [$(listening "$1")], \"worker\": [$(not_listening worker "$2")]}"
}

# train NAME PS WORKERS OPTION...   trains in a cluster to its end, and leaves $case_dir/NAME.safetensors.
train() {
    local name=$1 servers=$2 workers=$3
    shift 3
    start_cluster "$(dense "$servers" "$workers")" "$servers" "$workers" "$@"
    await_all
    keep_model "$name"
}

keep_model() {
    mv "$case_dir/outputs/model/model.safetensors" "$case_dir/$1.safetensors" ||
        fail "$1: no model was written"
}

same_model() {
    cmp "$case_dir/$1.safetensors" "$case_dir/$2.safetensors" || fail "the models '$1' and '$2' differ"
}

different_model() {
    ! cmp -s "$case_dir/$1.safetensors" "$case_dir/$2.safetensors" || fail "the models '$1' and '$2' are equal"
}
