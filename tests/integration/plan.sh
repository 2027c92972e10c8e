#!/bin/bash
# `penstock plan`: what it prints, what it reads, and what it refuses.
#
# Usage: plan.sh PENSTOCK
set -u
penstock=$(realpath -e "$1") || exit 1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
failures=0

fail() {
    echo "  FAILED: $*"
    sed 's/^/    /' out err
    failures=$((failures + 1))
}

# plan CODE OPTION...   runs to its end, which is to be CODE.
plan() {
    local wanted=$1 code
    shift
    "$penstock" plan "$@" >out 2>err
    code=$?
    [ "$code" = "$wanted" ] || fail "plan $*: exit code $code instead of $wanted"
}

says() {
    grep -qE -- "$2" "$1" || fail "$1 does not say '$2'"
}

# refuses MESSAGE OPTION...   with exit code 2, that line, and nothing on standard output.
refuses() {
    local message=$1
    shift
    plan 2 "$@"
    grep -qF -- "penstock plan: $message" err || fail "plan $*: does not say '$message'"
    [ -s out ] && fail "plan $*: prints something"
}

# The output is JSON of this schema: the strict reader of measurements gets as far as objecting to the schema.
is_json_of() {
    cp out output.json
    "$penstock" plan --check output.json 2>err && fail "a plan was taken for a measurement"
    says err "schema must be \"penstock-bench/1\", not \"$1\""
}

job=(--model-bytes 400M --compute-ms 120 --workers 64)
network=(--bandwidth 100G --latency-us 10)

echo "a plan is a table, a recommendation and its reason"
plan 0 "${job[@]}" "${network[@]}"
says out '^400 MB model, sgd, 64 workers that compute 120 ms a step, 100 Gbit/s, 10 us one way$'
says out '^      1 .* ps I/O thread '
says out '^ \*'
says out '^Recommended: [0-9]+ ps, slices of .*, gradients in [a-z0-9]+: .*\.$'
says out '^A step of .* ms: compute 120\.00, '
[ -s err ] && fail "something was printed on standard error"

echo "what is given is not searched"
plan 0 "${job[@]}" "${network[@]}" --ps 8 --slice-bytes 1Mi --push-codec bf16 --optimizer adam
says out '^Recommended: 8 ps, slices of 1.05 MB, gradients in bf16: as many ps as asked for\.$'
says out 'receives 400 MB; the fullest ps holds 50.3 MB, slices: 48'
plan 0 "${job[@]}" "${network[@]}" --max-ps 5
says out '^ .    5 '
! grep -qE '^ .    6 ' out || fail "--max-ps 5 plans for 6"

echo "JSON can be read by others"
plan 0 "${job[@]}" "${network[@]}" --json
is_json_of penstock-plan/1
says out '"recommended": \{"ps": [0-9]+, "push_codec": "[a-z0-9]+", "slice_bytes": [0-9]+, "step_s": 0\.[0-9]+, '
[ "$(grep -c '^  {"ps": ' out)" -gt 10 ] || fail "there are too few rows"

echo "one host has cores and no network"
plan 0 "${job[@]}" --one-host 8
says out 'one host of 8 cores, TCP$'
plan 0 "${job[@]}" --one-host 8 --transport shared
says out 'one host of 8 cores, shared memory$'

echo "mistakes are named with option and value"
refuses "--model-bytes is missing" --compute-ms 1 --workers 1 "${network[@]}"
refuses "--compute-ms is missing, or 0" --model-bytes 1M --workers 1 "${network[@]}"
refuses "--workers is missing" --model-bytes 1M --compute-ms 1 "${network[@]}"
refuses "--bandwidth or --one-host is missing" "${job[@]}"
refuses "--bandwidth and --one-host exclude each other" "${job[@]}" "${network[@]}" --one-host 2
refuses "--ps and --max-ps exclude each other" "${job[@]}" "${network[@]}" --ps 2 --max-ps 3
refuses "--transport shared needs --one-host" "${job[@]}" "${network[@]}" --transport shared
refuses "--transport: 'pigeon' is none of tcp, shared" "${job[@]}" --transport pigeon
refuses "--model-bytes: '400MB' is not a number of bytes from 4 to" --model-bytes 400MB
refuses "--bandwidth: '100Gbit' is not a rate in bit/s from 1000 to" --bandwidth 100Gbit
refuses "--compute-ms: '-1' is not a number from 0 to 1000000000" --compute-ms=-1
refuses "--compute-ms: 'soon' is not a number" --compute-ms soon
refuses "--latency-us: 'nan' is not a number" --latency-us nan
refuses "--overlap: '1' is not a number from 0 to 0.999" --overlap 1
refuses "--workers: '0' is not a whole number from 1 to 1024" --workers 0
refuses "--ps: '2000' is not a whole number from 1 to 1024" --ps 2000
refuses "--one-host: 'two' is not a whole number from 1 to 4096" --one-host two
refuses "--slice-bytes: '1K' is not a number of bytes from 4096 to 67108864" --slice-bytes 1K
refuses "--push-codec: 'zip' is none of fp32, bf16, fp16, int8" --push-codec zip
refuses "--pull-codec: 'zip' is none of fp32, bf16, fp16, int8" --pull-codec zip
refuses "--optimizer: optimizer 'lion' is unknown" --optimizer lion
refuses "'now' is no option" "${job[@]}" "${network[@]}" now
refuses "--check takes the constants from its own file: leave out --constants" --check a --constants b
plan 0 --help
says out '100G is 100 Gbit/s'

cat >bench.json <<'END'
{"schema": "penstock-bench/1",
 "constants": {"cores": 2, "request_s": 1e-4, "request_cpu_s": 4e-5, "message_cpu_s": 2e-6,
   "socket_bytes_per_s": 10e9, "socket_cpu_s_per_byte": 1e-10, "update_bytes_per_s": 5e9,
   "reduce_s_per_byte": 1e-10, "judge_s_per_byte": 1e-11, "copy_bytes_per_s": 10e9, "shared_cpu_s_per_byte": 2e-11},
 "plan_points": [
   {"transport": "tcp", "servers": 1, "workers": 1, "model_bytes": 10000000, "slice_bytes": 1000000,
    "compute_s": 0.01, "step_s": 0.0153},
   {"transport": "shared", "servers": 1, "workers": 1, "model_bytes": 10000000, "slice_bytes": 1000000,
    "compute_s": 0.01, "step_s": 0.1}]}
END

echo "measured constants are used"
plan 0 "${job[@]}" "${network[@]}" --constants bench.json --ps 1 --push-codec fp32
says out ' ps update '
says out ' push 2560\.00, '

# By hand: 10 ms of compute, 100 us of round trip, 100 us to judge, 1 ms to push, 2 to update, 29 us for half of the messages, 1 ms to
# pull, 1 to copy, 29 us; in shared memory 0.1 ms each to push and to pull.
echo "a check compares every point with what was measured"
plan 0 --check bench.json
says out '^tcp +1 +1 +10 MB +1 MB +10\.000 +15\.258 +15\.300 +-0\.3 %$'
says out '^shared +1 +1 +10 MB +1 MB +10\.000 +13\.458 +100\.000 +-86\.5 %$'
says out '^1 of 2 points are within 20 %\.$'
plan 0 --check bench.json --json
is_json_of penstock-plan-check/1
says out '"predicted_s": 0\.015258, "measured_s": 0\.0153, "error": -0\.0027'
says out '"within": 1, "tolerance": 0\.2\}'

echo "files that are no measurement are refused by name"
plan 3 --check none.json
says err '^penstock plan: cannot open none.json: '
echo "not JSON" >garbage.json
plan 3 --check garbage.json
says err 'garbage\.json'
plan 3 "${job[@]}" "${network[@]}" --constants garbage.json
sed 's/"cores": 2, //' bench.json >partial.json
plan 3 --check partial.json
says err '^penstock plan: partial\.json: constants\.cores is missing'
sed 's/"plan_points"/"points"/' bench.json >pointless.json
plan 3 --check pointless.json
says err '^penstock plan: pointless\.json: there are no plan_points to check$'

[ "$failures" = 0 ] || echo "$failures failures"
exit $((failures > 0))
