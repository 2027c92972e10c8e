#!/bin/bash
# What Prometheus itself says of /metrics: its promtool finds nothing to complain of in the pages of a cluster at work.
# promtool comes from PATH, or else out of Debian's package `prometheus` (19 MB), which is fetched once, unpacked beside
# MNIST and not installed: that would start a server.
#
# Usage: promtool.sh BUILD_FOLDER     exit code 77: there is no promtool, and no apt-get to fetch it with
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

here=$(realpath "$(dirname "$0")")
cache=${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}

# Unpacked beside its place and moved there whole.
fetch_promtool() {
    local work
    mkdir -p "$cache" && work=$(mktemp -d "$cache/.fetch-XXXXXX") || exit 1
    (
        cd "$work" || exit 1
        apt-get --quiet download prometheus || { apt-get --quiet update && apt-get --quiet download prometheus; }
        dpkg-deb --extract prometheus_*.deb . && mv -T usr/bin/promtool "$cache/promtool"
    ) >"$scratch/fetch.log" 2>&1
    rm -rf "$work"
    [ -x "$cache/promtool" ] || {
        cat "$scratch/fetch.log"
        echo "apt-get cannot fetch prometheus"
        exit 1
    }
}

promtool=$(command -v promtool || echo "$cache/promtool")
if [ ! -x "$promtool" ]; then
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        echo "there is no promtool here, and no apt-get to fetch it with"
        exit 77
    fi
    fetch_promtool
fi

begin "promtool complains of what breaks its rules"
printf '# HELP penstock_updates Some.\n# TYPE penstock_updates counter\npenstock_updates 1\n' >"$case_dir/broken"
"$promtool" check metrics <"$case_dir/broken" >"$case_dir/complaint.log" 2>&1 && fail "promtool takes a counter without _total"
expect_log complaint "_total"

begin "the pages of a cluster at work are as Prometheus wants them"
make_data "$scratch/data" 300
cluster=$(dense 2 2)
for i in 0 1; do
    start_task "ps-$i" "$(task "$cluster" ps "$i")" "$ps" --http-port 0 --http-port-file "$case_dir/http-ps-$i" \
        --checkpoint-dir "$case_dir/cuts" --checkpoint-steps 50
    start_task "worker-$i" "$(task "$cluster" worker "$i")" "$worker" --output-dir "$case_dir/outputs" \
        --data-folder "$scratch/data" --batch-size 20 --hidden 16 --steps 100000000 --evaluate-every 0
done

has_updates() {
    curl --silent --max-time 10 "http://$(cat "$1" 2>/dev/null)/metrics" | grep -q '^penstock_ps_updates_total [1-9]'
}

for page in http-ps-0 http-ps-1; do
    await has_updates "$case_dir/$page"
    curl --silent --show-error --max-time 10 "http://$(cat "$case_dir/$page")/metrics" >"$case_dir/$page.text"
    "$promtool" check metrics <"$case_dir/$page.text" >"$case_dir/$page.log" 2>&1 || fail_log "$page" "promtool refuses it"
    [ ! -s "$case_dir/$page.log" ] || fail_log "$page" "promtool complains"
    "$here/check-metrics" "$case_dir/$page.text" || fail "check-metrics refuses what promtool takes"
done

finish
