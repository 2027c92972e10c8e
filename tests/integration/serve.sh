#!/bin/bash
# `penstock serve` asked by curl: the logits of `penstock predict`, reasons for what is refused, many clients at once,
# and an end that finishes what has begun.
#
# Usage: serve.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

images=${PENSTOCK_MNIST:?the folder of MNIST}/t10k-images-idx3-ubyte
ROWS=1000
PIXELS=784

begin "a model is trained"
run_program training 0 "$worker" --data-folder "$PENSTOCK_MNIST" --steps 60 --evaluate-every 0 --optimizer momentum \
    --learning-rate 0.03 --output-dir "$scratch/outputs"
model=$scratch/outputs/model
"$launcher" predict --json --logits --rows 0-$((ROWS - 1)) "$model" "$images" |
    sed -nE 's/.*"logits": \[([^]]*)\].*/\1/p' | tr -d ' ' | tr ',' '\n' >"$scratch/predicted"
expect [ "$(wc -l <"$scratch/predicted")" = $((10 * ROWS)) ]

# serve NAME OPTION...   started and listening; its address in $at.
serve() {
    local name=$1
    shift
    rm -f "$case_dir/port"
    start "$name" "$launcher" serve --port 0 --port-file "$case_dir/port" "$@" "$model"
    await [ -s "$case_dir/port" ]
    at=$(cat "$case_dir/port")
    infer=http://$at/v2/models/model/infer
}

# ask CURL_ARGUMENT...   status in $status, headers in head, body in body.
ask() {
    status=$(curl --silent --show-error --max-time 60 --dump-header "$case_dir/head" --output "$case_dir/body" \
        --write-out '%{http_code}' "$@" 2>"$case_dir/err")
}

# refuses STATUS REASON CURL_ARGUMENT...
refuses() {
    local wanted=$1 reason=$2
    shift 2
    ask "$@"
    [ "$status" = "$wanted" ] && grep -qF -- "{\"error\":\"$reason" "$case_dir/body" && return
    fail "not $wanted '$reason' but $status for: ${*: -1}"
    head -c 300 "$case_dir/body" "$case_dir/err"
}

answers() {
    ask "${@:2}"
    [ "$status" = "$1" ]
}

# pixels FIRST COUNT   of MNIST's test images, as bytes with commas.
pixels() {
    tail -c +$((17 + PIXELS * $1)) "$images" | head -c $((PIXELS * $2)) | od -An -v -tu1 -w$PIXELS |
        sed 's/^ *//; s/  */,/g' | paste -sd,
}

# request FIRST COUNT [TYPE]   the JSON of an inference for its logits.
request() {
    local type=${3:-UINT8}
    printf '{"id":"%s","outputs":[{"name":"logits"}],"inputs":[{"name":"images","datatype":"%s","shape":[%d,%d],"data":[' \
        "$1" "$type" "$2" $PIXELS
    if [ "$type" = UINT8 ]; then
        pixels "$1" "$2" | tr -d '\n'
    else # as someone does who has them between 0 and 1
        pixels "$1" "$2" | tr ',' '\n' | awk '{ printf "%s%.9g", (NR > 1 ? "," : ""), $1 / 255 }'
    fi
    printf ']}]}'
}

# logits <BODIES   one a line.
logits() {
    sed -E 's/.*"data":\[([^]]*)\].*/\1/' | tr ',' '\n'
}

# same_logits FILE EXPECTED   within 1e-4.
same_logits() {
    paste "$1" "$2" | awk '
        { d = $1 - $2; if (d < 0) d = -d; if (d > most || NF != 2) most = NF == 2 ? d : 1 }
        END { printf "  %d logits, at most %g apart\n", NR, most; exit !(NR > 0 && most <= 1e-4) }' ||
        fail "the logits differ"
}

begin "1,000 images have the logits of predict, as bytes and as floats, alone and many at once"
serve server
for part in "0 200" "200 260 FP32" "460 500"; do
    # shellcheck disable=SC2086 # words are meant
    request $part >"$case_dir/request"
    ask --data-binary @"$case_dir/request" "$infer"
    expect [ "$status" = 200 ]
    logits <"$case_dir/body" >>"$case_dir/logits"
    grep -q "\"id\":\"${part%% *}\"" "$case_dir/body" || fail "the id is not told"
done
list=()
for ((row = 960; row < ROWS; row++)); do # one connection
    request "$row" 1 $([ $((row % 2)) = 0 ] || echo FP32) >"$case_dir/one-$row"
    [ ${#list[@]} = 0 ] || list+=(--next)
    list+=(--silent --max-time 60 --data-binary "@$case_dir/one-$row" "$infer")
done
curl "${list[@]}" | logits >>"$case_dir/logits"
same_logits "$case_dir/logits" "$scratch/predicted"

begin "64 clients at once"
serve server --max-batch 32
request 7 1 >"$case_dir/request"
sed -n 71,80p "$scratch/predicted" >"$case_dir/expected"
for ((i = 0; i < 10; i++)); do echo "url = $infer"; done >"$case_dir/urls"
client() {
    curl --silent --max-time 60 --data-binary "@$1/request" --config "$1/urls"
}
export -f client
seq 64 | xargs -P 64 -I{} bash -c 'client "$1" >"$1/answer-{}"' client "$case_dir"
cat "$case_dir"/answer-* | logits >"$case_dir/logits"
for ((i = 0; i < 640; i++)); do cat "$case_dir/expected"; done >"$case_dir/all"
same_logits "$case_dir/logits" "$case_dir/all"
expect [ "$(wc -l <"$case_dir/logits")" = 6400 ]
curl --silent "http://$at/metrics" >"$case_dir/metrics"
"$(dirname "$0")/check-metrics" "$case_dir/metrics" || fail "the metrics are not as Prometheus wants them"
expect grep -qx 'penstock_serve_rows_total 640' "$case_dir/metrics"
expect grep -qx 'penstock_serve_requests_total{code="200"} 640' "$case_dir/metrics"
expect grep -qx 'penstock_serve_inference_seconds_count 640' "$case_dir/metrics"
expect grep -qx 'penstock_serve_batch_rows_bucket{le="32"} [0-9]*' "$case_dir/metrics"
expect grep -qx 'penstock_serve_queue_depth 0' "$case_dir/metrics"

begin "what the protocol asks of a server"
serve server --model-name digits.v1 --host digits.example
expect answers 200 -H 'Host: digits.example' "http://$at/v2"
infer=http://$at/v2/models/digits.v1/infer
for path in /v2 /v2/health/live /v2/health/ready /v2/models/digits.v1 /v2/models/digits.v1/ready \
    /v2/models/digits.v1/versions/1 /v2/models/digits.v1/versions/1/ready; do
    expect answers 200 "http://$at$path"
    expect grep -qi '^content-type: application/json' "$case_dir/head"
    expect answers 200 --head "http://$at$path"
done
ask "http://$at/v2/models/digits.v1"
expect grep -qF '"inputs":[{"name":"images","datatype":"FP32","shape":[-1,784]}]' "$case_dir/body"
request 0 1 >"$case_dir/request"
expect answers 200 --data-binary @"$case_dir/request" "${infer/infer/versions\/1\/infer}"
sed -i 's/{"name":"logits"}/{"name":"probabilities","parameters":{"classification":2}}/' "$case_dir/request"
expect answers 200 --data-binary @"$case_dir/request" -H 'Content-Type: application/json; charset=utf-8' "$infer"
expect grep -qE '"datatype":"BYTES","shape":\[1,2\],"data":\["[0-9.]+:[0-9]","[-+e0-9.]+:[0-9]"\]' "$case_dir/body"

begin "what is refused is told why, and the next is answered"
serve server --max-body-mib 1
request 0 1 >"$case_dir/good"
wrong() {
    local change=$1
    shift
    sed "$change" "$case_dir/good" >"$case_dir/bad"
    refuses 400 "$@" --data-binary @"$case_dir/bad" "$infer"
}
wrong 's/.*//' "the request: line 1, column 1: the text is empty"
wrong 's/^{/{,/' "the request: line 1, column 2: expected a key in double quotes, found ','"
wrong 's/.$//' "the request: line 1, column"
wrong 's/"images"/"x"/' "inputs: there is no 'x'; the model takes 'images'"
wrong 's/UINT8/INT64/' "datatype 'INT64': 'images' takes FP32, or UINT8"
wrong 's/\[1,784\]/[784]/' "shape [784]: 'images' is [rows,784]"
wrong 's/\[1,784\]/[1,28,28]/' "shape [1,28,28]: 'images' is [rows,784]"
wrong 's/\[1,784\]/[0,784]/' "shape [0,784]: "
wrong 's/\[1,784\]/[2,784]/' "data: a list has 784 values; by the shape there are 1568"
wrong 's/\[1,784\]/[501,784]/' "shape [501,784]: at most 500 rows are taken at once"
wrong 's/\[1,784\]/[18446744073709551617,784]/' "the request: line 1"
wrong 's/"data":\[/"data":[1,/' "data: a list has more than the 784 values of the shape"
wrong 's/"data":\[0/"data":[256/' "the request: line 1, column"
wrong 's/"data":\[0/"data":[NaN/' "the request: line 1, column"
wrong 's/"data":\[0/"data":[[0/' "the request: line 1, column"
wrong 's/"data"/"other"/' "inputs: 'images' has no data"
wrong 's/"logits"/"labels"/' "outputs: there is no 'labels'"
wrong 's/UINT8/FP32/; s/"data":\[0/"data":[1e39/' "the request: line 1, column"
wrong 's/UINT8/FP32/; s/"data":.*/"data":['"$(yes 3e38 | head -n $PIXELS | paste -sd,)"']}]}/' "row 0: the model computes what is beyond FP32"
head -c 500000 /dev/zero | tr '\0' '[' >"$case_dir/deep"
refuses 400 "the request: line 1, column" --data-binary @"$case_dir/deep" "$infer"
# Never a blank, a line break or a bracket first, which it would get by.
{ printf '\377' && head -c 500000 /dev/urandom; } >"$case_dir/noise"
refuses 400 "the request: line 1, column 1: " --data-binary @"$case_dir/noise" "$infer"
head -c 3000000 /dev/zero >"$case_dir/long"
too_long="the body is longer than 1048576 bytes (--max-body-mib); send fewer rows"
refuses 413 "$too_long" --data-binary @"$case_dir/long" "$infer"
refuses 413 "$too_long" --data-binary @"$case_dir/long" -H 'Expect:' "$infer"
refuses 413 "$too_long" --data-binary @"$case_dir/long" -H 'Expect:' -H 'Transfer-Encoding: chunked' "$infer"
refuses 413 "a request to this path has no body" -X GET --data 1 "http://$at/v2"
refuses 415 "binary tensors are not read here" --data 1 -H 'Content-Type: application/octet-stream' "$infer"
refuses 415 "binary tensors are not read here" --data 1 -H 'Inference-Header-Content-Length: 1' "$infer"
refuses 415 "a body with a Content-Encoding" --data 1 -H 'Content-Encoding: gzip' "$infer"
refuses 405 "GET is not for this path; POST is" "$infer"
expect grep -qi '^allow: POST' "$case_dir/head"
refuses 405 "POST is not for this path; GET, HEAD is" --data 1 "http://$at/v2/models/model"
expect grep -qi '^allow: GET, HEAD' "$case_dir/head"
refuses 404 "there is no model 'x'; here is 'model'" "http://$at/v2/models/x/infer"
refuses 404 "there is no model 'model%00'; here is 'model'" "http://$at/v2/models/model%00/infer"
refuses 404 "there is no such version of model 'model'; there is 1" "http://$at/v2/models/model/versions/2"
expect answers 421 -H 'Host: rebound.example' "http://$at/v2"
refuses 404 "there is no '/v2/models'" "http://$at/v2/models"
refuses 404 "there is no '/'" "http://$at/"
refuses 404 "there is no '/v2/models/model/'" "http://$at/v2/models/model/"
expect answers 200 --data-binary @"$case_dir/good" "$infer"

begin "with a token whoever does not bring it gets health alone, and is counted"
token_file=$case_dir/token
(umask 077 && head -c 24 /dev/urandom | base64 >"$token_file")
token="Authorization: Bearer $(cat "$token_file")"
serve server --token-file "$token_file"
request 0 1 >"$case_dir/request"
expect answers 200 "http://$at/v2/health/live"
expect answers 200 "http://$at/v2/health/ready"
for path in /v2 /v2/models/model /v2/models/model/ready /metrics /nothing; do
    expect answers 401 "http://$at$path"
done
expect grep -qi '^www-authenticate: Bearer' "$case_dir/head"
expect grep -q "a token is wanted here: .* (that of --token-file)" "$case_dir/body"
expect answers 401 --data-binary @"$case_dir/request" "$infer"
expect answers 401 --data-binary @"$images" -H 'Expect:' "$infer" # several MB, and no reset
expect answers 401 --data-binary @"$case_dir/request" -H "${token}x" "$infer"
expect answers 200 --data-binary @"$case_dir/request" -H "$token" "$infer"
expect answers 200 -H "$token" "http://$at/metrics"
expect grep -qx 'penstock_serve_refused_http_requests_total{reason="no_token"} 8' "$case_dir/body"
expect grep -qx 'penstock_serve_requests_total{code="200"} 3' "$case_dir/body"
"$(dirname "$0")/check-metrics" "$case_dir/body" || fail "the metrics are not as Prometheus wants them"
PENSTOCK_HTTP_TOKEN_FILE=$token_file serve by-environment
expect answers 401 "http://$at/v2"
chmod 640 "$token_file"
run_program wide 2 "$launcher" serve --port 0 --token-file "$token_file" "$model"
expect_log wide "others may read this token"
run_program empty 2 env PENSTOCK_HTTP_TOKEN_FILE= "$launcher" serve --port 0 "$model"
expect_log empty "--token-file (or PENSTOCK_HTTP_TOKEN_FILE) has an empty name"

begin "without a token other hosts get health alone, unless it is open"
own=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m1 '\.')
for open in "" --open; do
    serve "server$open" --address 0.0.0.0 ${open:+"$open"}
    expect answers 200 "http://127.0.0.1:${at#*:}/v2"
    await_log "server$open" "$([ "$open" ] && echo "is open to everybody" || echo "see --token-file, or --open")"
    [ "$own" ] || continue
    expect answers 200 "http://$own:${at#*:}/v2/health/ready"
    expect answers "$([ "$open" ] && echo 200 || echo 403)" "http://$own:${at#*:}/v2"
done

begin "a queue that is full is told, with a time to come back"
serve server --max-queue 1 --max-batch 500 --max-wait-us 1000000
request 0 1 >"$case_dir/request"
is_full() {
    curl --silent --output /dev/null --data-binary @"$case_dir/request" "$infer" & # waits for others
    local waits=$!
    ask --data-binary @"$case_dir/request" "$infer"
    wait "$waits"
    [ "$status" = 503 ]
}
await is_full
expect grep -qi '^retry-after: 1' "$case_dir/head"
expect grep -qF '{"error":"1 inferences wait already; try again"}' "$case_dir/body"

# begins   half of a request, on descriptor 3.
begins() {
    local bytes
    request 0 1 >"$case_dir/request"
    bytes=$(wc -c <"$case_dir/request")
    exec 3<>"/dev/tcp/${at%:*}/${at#*:}"
    printf 'POST /v2/models/model/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n' "$bytes" >&3
    head -c 100 "$case_dir/request" >&3
}

begin "SIGTERM: not ready, what has begun is finished, new requests are refused"
serve server --stop-secs 100
begins
ask "http://$at/v2/health/ready" # so that the head has been read
expect [ "$status" = 200 ]
kill -TERM "${pids[server]}"
await answers 503 "http://$at/v2/health/ready"
expect grep -qF '{"ready":false}' "$case_dir/body"
expect answers 200 "http://$at/v2/health/live"
await answers 503 --data-binary @"$case_dir/request" "$infer"
expect grep -qF '{"error":"this server is ending; ask another"}' "$case_dir/body"
expect grep -qi '^connection: close' "$case_dir/head"
expect is_running server
tail -c +101 "$case_dir/request" >&3
head -n 1 <&3 >"$case_dir/first"
expect grep -qF 'HTTP/1.1 200 OK' "$case_dir/first"
exec 3>&-
await_end server 143
expect_log server "told to end: not ready any more"

begin "SIGTERM with --linger-secs: not ready, and yet all are answered; a second one does not wait"
serve server --linger-secs 1000
kill -TERM "${pids[server]}"
await answers 503 "http://$at/v2/models/model/ready"
request 0 1 >"$case_dir/request"
expect answers 200 --data-binary @"$case_dir/request" "$infer"
kill -TERM "${pids[server]}"
await_end server 143

begin "SIGTERM: who never finishes is not waited for beyond --stop-secs"
serve server --stop-secs 1
begins
ask "http://$at/v2/health/live"
kill -TERM "${pids[server]}"
await_end server 143
exec 3>&-
expect_log server "1 requests had begun and are not answered"

begin "usage, and models that are no good"
# says CODE MESSAGE ARGUMENT...
says() {
    run_program said "$1" "$launcher" serve "${@:3}"
    expect_log said "$2"
}
says 2 "the model is missing: a folder such as outputs/model"
says 2 "one model at a time" "$model" "$model"
says 2 "--max-batch: '0' is not a whole number from 1 to 500" --max-batch 0 "$model"
says 2 "--port: '65536' is not a whole number from 0 to 65535" --port 65536 "$model"
says 2 "--model-name: 'a/b' is no name for a model" --model-name a/b "$model"
says 2 "--host: 'a b' is no host name" --host 'a b' "$model"
says 2 "--address: 'localhost' is no IPv4 or IPv6 address" --address localhost "$model"
says 2 "cannot listen for HTTP on 192.0.2.1:" --address 192.0.2.1 "$model"
says 3 "absent/model.json" "$scratch/absent"
says 0 "of KServe and Triton" --help
serve server
says 2 "(--address, --port)" --port "${at#*:}" "$model"
finish
