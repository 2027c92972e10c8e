#!/bin/bash
# What a ps shows over HTTP while it is at work: that it lives and serves, and counts that agree with its own log.
#
# Usage: http.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 300
options=(--data-folder "$scratch/data" --batch-size 20 --hidden 16 --steps 100000000 --evaluate-every 0)

# get INDEX PATH   the body goes to stdout, the status of HTTP to $case_dir/status.
get() {
    curl --silent --show-error --max-time 10 --output - --write-out '%{stderr}%{http_code}\n' \
        "http://$(cat "$case_dir/http-$1")$2" 2>"$case_dir/status"
}

# value INDEX METRIC   of a series, by its whole name.
value() {
    get "$1" /metrics | awk -v name="$2" '$1 == name { print $2 }'
}

has_status() {
    get "$1" "$2" >/dev/null
    [ "$(tail -n 1 "$case_dir/status")" = "$3" ]
}

has_more_than() {
    local now
    now=$(value "$1" "$2")
    [ -n "$now" ] && [ "${now%.*}" -gt "$3" ]
}

begin "a ps tells that it lives before it serves, and counts what it does"
cluster=$(dense 1 1)
start_task ps-0 "$(task "$cluster" ps 0)" "$ps" --http-port 0 --http-port-file "$case_dir/http-0" \
    --http-host ps-0.penstock --checkpoint-dir "$case_dir/cuts" --checkpoint-steps 50
await [ -s "$case_dir/http-0" ]
expect has_status 0 /livez 200
expect has_status 0 /readyz 503
expect has_status 0 /nothing 404
expect [ "$(curl --silent --output /dev/null --write-out '%{http_code}' --header 'Host: evil.example' \
    "http://$(cat "$case_dir/http-0")/livez")" = 421 ]
expect [ "$(curl --silent --output /dev/null --write-out '%{http_code}' --header 'Host: ps-0.penstock:9090' \
    "http://$(cat "$case_dir/http-0")/livez")" = 200 ]
start_task worker-0 "$(task "$cluster" worker 0)" "$worker" --output-dir "$case_dir/outputs" "${options[@]}"
await has_more_than 0 penstock_ps_updates_total 100
await has_more_than 0 'penstock_ps_checkpoints_total{result="kept"}' 0
expect has_status 0 /readyz 200
expect "$(dirname "$0")/check-metrics" "http://$(cat "$case_dir/http-0")/metrics"
kill -STOP "${pids[worker-0]}"
await_standstill value 0 penstock_ps_updates_total
updates=$(value 0 penstock_ps_updates_total)
expect [ "$(value 0 penstock_ps_weights_version)" = "$updates" ]
expect [ "$(value 0 penstock_ps_examples)" = $((20 * updates)) ]
kill -TERM "${pids[ps-0]}"
await_end ps-0 143
expect_log ps-0 "$updates updates of $((20 * updates)) examples; 0 repeats, 0 late, 0 not finite, 0 refused"

begin "a port that is taken, an address that is none of this host and a name that is none are refused"
start_task ps-0 "$(task "$(dense 1 1)" ps 0)" "$ps" --http-port 0 --http-port-file "$case_dir/http-0"
await [ -s "$case_dir/http-0" ]
taken=$(sed 's/.*://' "$case_dir/http-0")
other=$(task "$(dense 1 1)" ps 0)
run_program again 2 env TF_CONFIG="$other" "$ps" --http-port "$taken"
expect_log again "$taken"
run_program nowhere 2 env TF_CONFIG="$other" "$ps" --http-port 0 --http-address 192.0.2.1
expect_log nowhere "192.0.2.1"
run_program alone 2 env TF_CONFIG="$other" "$ps" --http-address 127.0.0.1
expect_log alone "--http-address needs --http-port"
run_program unnamed 2 env TF_CONFIG="$other" "$ps" --http-port 0 --http-host evil.example:80
expect_log unnamed "--http-host: 'evil.example:80' is no host name"

begin "with a token only probes and the page itself are without, and clients bring it"
token_file=$case_dir/token
(umask 077 && head -c 24 /dev/urandom | base64 >"$token_file")
start_task ps-0 "$(task "$(dense 1 1)" ps 0)" "$ps" --http-port 0 --http-port-file "$case_dir/http-0" \
    --http-token-file "$token_file"
await [ -s "$case_dir/http-0" ]
at=$(cat "$case_dir/http-0")
for path in /livez / /dashboard/ask.js; do
    expect has_status 0 "$path" 200
done
expect has_status 0 /readyz 503
for path in /metrics /status /nothing; do
    expect has_status 0 "$path" 401
done
with_token() {
    curl --silent --max-time 10 --output "$case_dir/got" --write-out '%{http_code}' --config - "http://$at$1" \
        <<<"header = \"Authorization: Bearer $2\""
}
expect [ "$(with_token /status "$(cat "$token_file")")" = 200 ]
expect [ "$(with_token /status "$(cat "$token_file")x")" = 401 ]
expect [ "$(with_token /metrics "$(cat "$token_file")")" = 200 ]
expect grep -q 'penstock_ps_refused_http_requests_total{reason="no_token"} [1-9]' "$case_dir/got"
run_program status-without 1 "$launcher" status "$at"
expect_log status-without "asks for another token"
run_program status-with 0 "$launcher" status --http-token-file "$token_file" "$at"
run_program status-env 0 env PENSTOCK_HTTP_TOKEN_FILE="$token_file" "$launcher" status "$at"
chmod 640 "$token_file"
run_program wide 2 env TF_CONFIG="$other" "$ps" --http-port 0 --http-token-file "$token_file"
expect_log wide "others may read this token"
run_program wide-env 2 env TF_CONFIG="$other" PENSTOCK_HTTP_TOKEN_FILE="$token_file" "$ps" --http-port 0
(umask 077 && echo short >"$case_dir/short")
run_program short 2 env TF_CONFIG="$other" "$ps" --http-port 0 --http-token-file "$case_dir/short"
expect_log short "holds no token"
run_program lone 2 env TF_CONFIG="$other" "$ps" --http-token-file "$case_dir/short"
expect_log lone "--http-token-file needs --http-port"
expect [ "$(grep -c "$(cat "$token_file")" "$case_dir"/*.log | grep -vc ':0$')" = 0 ]

begin "without a token other hosts see probes alone, unless it is open"
own=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m1 '\.')
for open in "" --http-open; do
    start_task ps-0 "$(task "$(dense 1 1)" ps 0)" "$ps" --http-port 0 --http-address 0.0.0.0 \
        --http-port-file "$case_dir/http-0" ${open:+"$open"}
    await [ -s "$case_dir/http-0" ]
    port=$(sed 's/.*://' "$case_dir/http-0")
    echo "127.0.0.1:$port" >"$case_dir/http-0"
    expect has_status 0 /status 200
    await_log ps-0 "$([ "$open" ] && echo "is open to everybody" || echo "other hosts see no more than probes here")"
    if [ "$own" ]; then
        echo "$own:$port" >"$case_dir/http-0"
        expect has_status 0 /livez 200
        expect has_status 0 /status "$([ "$open" ] && echo 200 || echo 403)"
        expect has_status 0 /metrics "$([ "$open" ] && echo 200 || echo 403)"
    fi
    kill_all
    rm "$case_dir/http-0"
done

finish
