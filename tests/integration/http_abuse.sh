#!/bin/bash
# A cluster whose HTTP is abused while it trains (http_abuse.c says how): it ends with the same bits as one left in
# peace, takes hardly more memory and descriptors, answers who has a right to ask, and all as before when it is over.
#
# Usage: http_abuse.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

CONNECTIONS=$(scaled 10000)
GROWTH_MAX_KIB=4096 # for 128 connections of 16 KiB and their answers
PLACES=128          # VISITORS_MAX
STEPS=$(scaled 500)
SERVERS=2
WORKERS=3
SCRAPER=127.0.0.9 # not among the abusers

make_data "$scratch/data" 1130
options=(--data-folder "$scratch/data" --batch-size 20 --hidden 32 --slice-kib 4 --steps "$STEPS")

# scrape INDEX PATH [OPTION...]   the page goes to stdout.
scrape() {
    curl --silent --show-error --fail --max-time 60 "${@:3}" "http://$(cat "$case_dir/http-$1")$2"
}

updates() {
    scrape "$1" /metrics --interface "$SCRAPER" | awk '$1 == "penstock_ps_updates_total" { print $2 }'
}

descriptors() {
    find "/proc/${pids[ps-$1]}/fd" -mindepth 1 | wc -l
}

has_descriptors() {
    [ "$(descriptors "$1")" -le "$2" ]
}

has_updates() {
    [ "$(updates "$1")" = "$2" ]
}

# The ps are asked from aside while they train, again and again, and answer.
watch_training() {
    local i now seen=0 scrapes=0
    while is_running worker-0 || ((scrapes == 0)); do
        for ((i = 0; i < SERVERS; i++)); do
            now=$(updates "$i")
            [ -n "$now" ] || fail "ps $i answers no scrape"
            [ "${now:-0}" -gt "$seen" ] && seen=$now
            scrapes=$((scrapes + 1))
            has_descriptors "$i" $((quiet_descriptors + PLACES)) || fail "ps $i has $(descriptors "$i") descriptors"
        done
    done
    echo "  $scrapes scrapes, the last after $seen updates"
    expect [ "$seen" -gt 0 ]
}

# run_job NAME [abused]   the last worker comes when the abuse is on; a missing evaluator keeps the ps when training is
# over.
run_job() {
    local name=$1 cluster ports i j begun peak
    cluster="{\"ps\": [$(listening $SERVERS)], \"worker\": [$(not_listening worker $WORKERS)],
        \"evaluator\": [$(not_listening evaluator 1)]}"
    for ((i = 0; i < SERVERS; i++)); do
        start_task "ps-$i" "$(task "$cluster" ps "$i")" "$ps" --http-port 0 --http-port-file "$case_dir/http-$i"
    done
    for ((i = 0; i < WORKERS - 1; i++)); do
        start_task "worker-$i" "$(task "$cluster" worker "$i")" "$worker" --output-dir "$case_dir/outputs" "${options[@]}"
        for ((j = 0; j < SERVERS; j++)); do await_log "ps-$j" "worker $i joined"; done
    done
    quiet_descriptors=$(($(descriptors 0) + 2 * (WORKERS + 1))) # those who come still
    if [ "${2:-}" ]; then
        mapfile -t ports < <(sed 's/.*://' "$case_dir"/http-?)
        start abuse "$tools/http_abuse" "$CONNECTIONS" "${ports[@]}"
        await_log abuse "under attack"
    fi
    begun=$(date +%s%N)
    start_task "worker-$i" "$(task "$cluster" worker "$i")" "$worker" "${options[@]}"
    watch_training
    for ((i = 0; i < WORKERS; i++)); do await_end "worker-$i" 0; done
    echo "  $STEPS steps took $((($(date +%s%N) - begun) / 1000000)) ms"
    if [ "${2:-}" ]; then
        expect is_running abuse
        kill -TERM "${pids[abuse]}"
        await_end abuse 0
        sed 's/^/  /' "$case_dir/abuse.log"
    fi
    for ((i = 0; i < SERVERS; i++)); do
        expect scrape "$i" /livez --output /dev/null
        await has_updates "$i" "$STEPS"
        await has_descriptors "$i" "$quiet_descriptors"
        peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/${pids[ps-$i]}/status")
        peaks[i]+=" $peak"
    done
    start_task evaluator "$(task "$cluster" evaluator 0)" "$worker" "${options[@]}"
    await_all
    keep_model "$name"
}

begin "abuse of HTTP changes neither the result of training nor the memory of a ps"
peaks=()
run_job quiet
run_job abused abused
same_model quiet abused
for ((i = 0; i < SERVERS; i++)); do
    read -r before after <<<"${peaks[$i]}"
    echo "  ps $i had $before KiB in peace and $after KiB under abuse"
    # Sanitizers keep what was freed.
    [ "$scale" != 100 ] || expect [ $((after - before)) -lt $GROWTH_MAX_KIB ]
done

finish
