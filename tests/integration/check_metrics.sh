#!/bin/bash
# check-metrics lets pass what Prometheus reads, and names what breaks a rule.
set -u
check=$(dirname "$0")/check-metrics
failures=0

allowed() {
    local found
    found=$(printf '%b' "$1" | "$check") || {
        echo "FAILED: this was refused: $1: $found"
        failures=1
    }
}

# planted TEXT EXPECTED
planted() {
    local found
    found=$(printf '%b' "$1" | "$check")
    if [ $? != 1 ] || ! grep -qF -- "$2" <<<"$found"; then
        echo "FAILED: '$1' was not refused with '$2': $found"
        failures=1
    fi
}

# family NAME TYPE   its head.
family() {
    printf '%s' "# HELP $1 Some.\n# TYPE $1 $2\n"
}

updates=$(family penstock_updates_total counter)
loss=$(family penstock_loss gauge)
wait=$(family penstock_wait_seconds histogram)
allowed "${updates}penstock_updates_total 3\n"
allowed "${loss}penstock_loss{a=\"b\",c=\"} \\\\\\\\ \\\\\"\"} NaN\npenstock_loss -1.5e-3\n"
allowed "$(family penstock_build_info gauge)penstock_build_info{version=\"1\"} 1\n"
buckets="penstock_wait_seconds_bucket{le=\"0.1\"} 1\npenstock_wait_seconds_bucket{le=\"+Inf\"} 2\n"
allowed "${wait}${buckets}penstock_wait_seconds_sum 5\npenstock_wait_seconds_count 2\n"

planted "" "does not end with a line break"
planted "\n" "there is no metric"
planted "${updates}penstock_updates_total 3" "does not end with a line break"
planted "penstock_a 3\n" "penstock_a has a sample without # HELP"
planted "# TYPE penstock_a gauge\npenstock_a 3\n" "penstock_a has a # TYPE without # HELP"
planted "# HELP penstock_a\n# TYPE penstock_a gauge\npenstock_a 3\n" "penstock_a has no text of help"
planted "# HELP penstock_a Some.\npenstock_a 3\n" "penstock_a has a sample without"
planted "${updates}" "penstock_updates_total has no sample"
planted "${updates}penstock_updates_total 3\n${updates}penstock_updates_total 3\n" "is described twice"
planted "${updates}penstock_updates_total 3\npenstock_updates_total 4\n" "penstock_updates_total{} comes twice"
planted "${updates}penstock_updates_total -3\n" "is a counter of -3"
planted "${updates}penstock_updates_total three\n" "no sample: penstock_updates_total three"
planted "${updates}penstock_updates_total 3 4 5\n" "no sample"
planted "${updates}penstock_updates_total{a=b} 3\n" "no labels: {a=b}"
planted "${updates}penstock_updates_total{__a=\"b\"} 3\n" "the label __a is reserved"
planted "${updates}penstock_updates_total{a=\"b\",a=\"c\"} 3\n" "the label a comes twice"
planted "${updates}penstock_updates_total{le=\"1\"} 3\n" "the label le is for buckets"
planted "$(family penstock_updates counter)penstock_updates 3\n" "is a counter without _total"
planted "$(family penstock_a_total gauge)penstock_a_total 3\n" "is a gauge with _total"
planted "$(family penstock_a meter)penstock_a 3\n" "unknown type meter"
planted "$(family penstock_a_count gauge)penstock_a_count 3\n" "ends like a part of a histogram"
planted "$(family penstock_wait_ms gauge)penstock_wait_ms 3\n" "penstock_wait_ms is not in a base unit: ms"
planted "$(family penstock_seconds_waited gauge)penstock_seconds_waited 3\n" "does not end with its unit: seconds"
planted "$(family penstock_loss_gauge gauge)penstock_loss_gauge 3\n" "names its type: gauge"
planted "$(family updates_total counter)updates_total 3\n" "updates_total is not of the form"
planted "$(family penstock_Loss gauge)penstock_Loss 3\n" "penstock_Loss is not of the form"
planted "$(family penstock_build_info gauge)penstock_build_info 2\n" "penstock_build_info is 2, not 1"
planted "${wait}penstock_wait_seconds 1\n" "has a sample of its own"
planted "${wait}penstock_wait_seconds_bucket{le=\"1\"} 1\npenstock_wait_seconds_count 1\n" "does not end with le"
planted "${wait}${buckets}penstock_wait_seconds_count 3\n" "is not that of its buckets"
planted "${wait}penstock_wait_seconds_bucket{le=\"1\"} 3\npenstock_wait_seconds_bucket{le=\"+Inf\"} 2\n" "holds less"
planted "${wait}penstock_wait_seconds_bucket{le=\"1\"} 3\npenstock_wait_seconds_bucket{le=\"0.5\"} 3\n" "is not above"

[ $failures = 0 ] && echo "all passed"
exit $failures
