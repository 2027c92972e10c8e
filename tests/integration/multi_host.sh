#!/bin/bash
# 2 ps and 3 workers as on five hosts, a network namespace each, over lines with latency and a rate: the model is the one
# of loopback, bit for bit. Skipped, with the reason, where namespaces cannot be made.
#
# Usage: multi_host.sh BUILD_FOLDER
# shellcheck disable=SC2317 # conditions are called by await
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 1130

# A process of the run in namespaces that is a worker's.
a_worker() {
    local child own space
    own=$(readlink "/proc/${pids[chaos]}/ns/net")
    # shellcheck disable=SC2013 # words are what there is
    for child in $(cat "/proc/${pids[chaos]}/task/${pids[chaos]}/children"); do
        [ "$(readlink "/proc/$child/exe")" = "$worker" ] || continue
        space=$(readlink "/proc/$child/ns/net") # none, if it has just ended
        [ -z "$space" ] || [ "$space" = "$own" ] || echo "$child"
    done | tail -n 1
}

# Also once the launcher has ended.
has_begun() {
    there=$(a_worker)
    [ -n "$there" ] || has_ended chaos
}

# From the host of that process to a ps; meanwhile it stands still, so that training does not end.
round_trip_us() {
    local enter=(nsenter --target "$1" --net) config=$case_dir/run/faults/tf_config/worker-0.json address port
    [ "$(id -u)" = 0 ] || enter+=(--user --preserve-credentials)
    IFS=: read -r address port < <(grep -oE '10\.83\.0\.1:[0-9]+' "$config")
    kill -STOP "$1"
    "${enter[@]}" "$tools/round_trip" "$address" "$port" 5
    kill -CONT "$1"
}

# of NAME   a number of the report.
of() {
    sed -nE "s/.*\"network\".*\"$1\": ([0-9.]+).*/\1/p" "$case_dir/report.json"
}

# train_apart LATENCY_MS BANDWIDTH STEPS
train_apart() {
    local latency_ms=$1 bandwidth=$2 steps=$3 bytes rate seconds trip
    start chaos "$launcher" chaos --net namespaces --latency-ms "$latency_ms" --bandwidth "$bandwidth" --faults 0 \
        --ps 2 --workers 3 --run-dir "$case_dir/run" --report "$case_dir/report.json" -- \
        --data-folder "$scratch/data" --steps "$steps" --batch-size 20 --hidden 150,50 --optimizer momentum
    await has_begun
    if [ -z "$there" ] && log_says chaos "--net proxy, the default, needs no right"; then
        echo "skipped: $(sed -n 's/.*--net namespaces: //p' "$case_dir/chaos.log")"
        exit 77
    fi
    if [ -n "$there" ]; then
        trip=$(round_trip_us "$there")
        echo "    round trip: at least $trip us"
        [ "$trip" -ge $((2000 * latency_ms)) ] || fail "a packet and its answer take $trip us over $latency_ms ms each"
    else
        fail_log chaos "there was no worker in a namespace of its own"
    fi
    await_end chaos 0
    cmp "$case_dir/run/plain/outputs/model/model.safetensors" "$case_dir/run/faults/outputs/model/model.safetensors" ||
        fail "the models differ"

    # On one host they share memory, on several they do not.
    grep -q "sharing memory" "$case_dir"/run/plain/logs/worker-0.log || fail "no memory was shared on one host"
    ! grep -l "sharing memory" "$case_dir"/run/faults/logs/*.log || fail "memory was shared between hosts"

    # Of all bytes a ps has sent or received at least a quarter, in one of the two ways.
    bytes=$(of bytes) rate=$(of bytes_per_s)
    seconds=$(sed -nE 's/.*"with_faults".*"seconds": ([0-9.]+).*/\1/p' "$case_dir/report.json")
    echo "    $bytes bytes in $seconds s; the line of a ps takes $(awk "BEGIN { print $bytes / 4 / $rate }") s for its part"
    awk "BEGIN { exit !($bytes > 0 && $bytes / 4 <= $rate * $seconds) }" || fail "that is more than the lines carry"
}

begin "1 ms and 1 Gbit/s: the model of loopback"
train_apart 1 1G "$(scaled 200)"

begin "20 ms and 100 Mbit/s: the model of loopback"
train_apart 20 100M "$(scaled 40)"

finish
