#!/bin/bash
# Attacks on the socket of a ps while it trains, without keys and with them. During each of them training goes on and
# the ps takes hardly more memory; after it all descriptors are free again; and the model is bit for bit that of a
# training left in peace. Prints a table of what the ps did. (Who comes with the wrong keys: security.sh.)
#
# Usage: attacks.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

GROWTH_MAX_KIB=65536
STEPS_UNDER_ATTACK=10

make_data "$scratch/data" 600
options=(--data-folder "$scratch/data" --hidden 20 --evaluate-every 0 --steps 500 --no-shared-memory)
"$launcher" keygen "$scratch/keys" --workers 2 >/dev/null || fail "keygen ended with $?"
table=$scratch/table
# Sanitizers keep what was freed, so that no memory is measured with them; and to give 64 MiB back takes them long.
export ATTACK_CLAIMS=640
[ "$scale" = 100 ] || ATTACK_CLAIMS=64

# shellcheck disable=SC2317 # await calls it
updates() {
    curl --silent --max-time 10 "http://$(cat "$case_dir/http")/status" | grep -oE '"updates": ?[0-9]+' | grep -oE '[0-9]+'
}

# shellcheck disable=SC2317
# Has the training come to that step? If not it goes on for a moment: so no more of it is used up than has to be.
has_trained_to() {
    [ "$(updates || echo 0)" -ge "$1" ] && return
    kill -CONT "${pids[worker-1]}"
    sleep 0.01
    kill -STOP "${pids[worker-1]}"
    return 1
}

metrics() {
    curl --silent --max-time 10 "http://$(cat "$case_dir/http")/metrics"
}

# counted KIND [REASON]   refused handshakes or messages, of one reason or all.
counted() {
    metrics | awk -v begin="penstock_ps_refused_${1}_total{reason=\"${2:-}" 'index($1, begin) == 1 { sum += $2 } END { print sum + 0 }'
}

# shellcheck disable=SC2317
has_counted() {
    [ "$(counted "$1" "$2")" -ge "$3" ]
}

# shellcheck disable=SC2317
# Do both pages tell the same of all reasons? They are made one after the other.
pages_agree() {
    local page
    page=$(curl --silent --max-time 10 "http://$(cat "$case_dir/http")/status" | tr -d ' \n')
    metrics | sed -n 's/^penstock_ps_refused_\(handshakes\|messages\)_total{reason="\([a-z_]*\)"} \([0-9]*\)$/"\2":\3/p' >"$case_dir/told"
    [ -s "$case_dir/told" ] || return 1
    while read -r pair; do
        [[ ${page#*\"refusals\"} == *"$pair"* ]] || return 1
    done <"$case_dir/told"
}

descriptors() {
    find "/proc/${pids[ps-0]}/fd" -mindepth 1 | wc -l
}

# shellcheck disable=SC2317
has_given_back() {
    [ "$(descriptors)" -le "$1" ]
}

# KiB that the ps has now (VmRSS), or has had at most since its peak was forgotten (VmHWM).
memory() {
    sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/${pids[ps-0]}/status"
}

# begin_training OPTION...   a ps, worker 0, and worker 1 behind a tap, which keeps what it sends. They stand still
# but during attacks: worker 1 is stopped.
begin_training() {
    local tapped whole
    port=$("$tools/free_ports" 1)
    tap=$("$tools/free_ports" 1)
    whole="\"worker\": [$(not_listening worker 2)], \"evaluator\": [$(not_listening evaluator 1)]}"
    cluster="{\"ps\": [\"127.0.0.1:$port\"], $whole"
    tapped="{\"ps\": [\"127.0.0.1:$tap\"], $whole"
    start_task ps-0 "$(task "$cluster" ps 0)" "$ps" --http-port 0 --http-port-file "$case_dir/http" "$@"
    await_log ps-0 "listening on"
    await [ -s "$case_dir/http" ]
    start tap "$tools/attack" record "$port" "$case_dir/record" "$tap"
    await_log tap "listening"
    start_task worker-0 "$(task "$cluster" worker 0)" "$worker" --output-dir "$case_dir/outputs" "${options[@]}" "$@"
    start_task worker-1 "$(task "$tapped" worker 1)" "$worker" --output-dir "$case_dir/none" "${options[@]}" "$@"
    await_log worker-1 "joined ps/0"
    kill -STOP "${pids[worker-1]}"
    await has_trained_to 20
    # Of its two connections the one with the gradients.
    find "$case_dir" -name 'record.*' -printf '%s %p\n' | sort -n | sed -n '$s/^[0-9]* //p' | xargs -I{} cp {} "$case_dir/recorded"
}

# under_attack WHAT KIND [ARGUMENT...]   one line of the table; ARGUMENTs are attack's, after the port.
under_attack() {
    local what=$1 kind=$2 open before steps said grown="-" refused hung_up
    shift 2
    open=$(descriptors)
    before=$(memory VmRSS)
    said=$(wc -l <"$case_dir/ps-0.log")
    refused=$(counted handshakes)
    echo 5 >"/proc/${pids[ps-0]}/clear_refs" # forget the peak
    # Of a message that never ends ZeroMQ gives nothing back, at the end that sends it.
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 start attack "$tools/attack" "$kind" "$port" "$@"
    [ "$kind" != inject ] || begin_injection
    await_log attack "under attack"
    steps=$(updates)
    await has_trained_to $((steps + STEPS_UNDER_ATTACK)) || fail "no training beside: $what"
    steps=$(($(updates) - steps))
    [ "$kind" != hoard ] || await has_counted messages in_flight 1
    kill -TERM "${pids[attack]}"
    await_end attack 0
    if [ "$kind" = inject ]; then
        kill -KILL "${pids[intruder]}"
        wait "${pids[intruder]}" 2>/dev/null
        unset "pids[intruder]"
    fi
    await has_given_back "$open" || fail "$what: $(descriptors) descriptors are open, $open were before"
    if [ "$scale" = 100 ]; then
        grown=$((($(memory VmHWM) - before) / 1024))
        expect [ "$(($(memory VmHWM) - before))" -lt "$GROWTH_MAX_KIB" ]
    fi
    # Each of these ends in the handshake, and is counted.
    if [ "$kind" = replay ] && [[ $* == *recorded* && -n ${with_keys:-} ]]; then
        hung_up=$(sed -n 's/.* connections taken, \([0-9]*\) of them.*/\1/p' "$case_dir/attack.log")
        await has_counted handshakes "" $((refused + hung_up))
    fi
    printf '%-54s %3s MB %5s steps  %s\n' "$what" "$grown" "$steps" "$(tail -n 1 "$case_dir/attack.log")" >>"$table"
    said=$(tail -n "+$((said + 1))" "$case_dir/ps-0.log" | sed -n 's,.* warning  *ps/0  *,,p' | head -n 1 | cut -c 1-150)
    [ -z "$said" ] || printf '    %s\n' "$said" >>"$table"
}

# One who is let in, behind a tap that then claims frames in its name.
begin_injection() {
    await_log attack "listening"
    start_task intruder "$(task "${cluster/$port/$injected}" evaluator 0)" "$worker" "${options[@]}" --curve-keys "$scratch/keys"
}

# Both go on to the end; the model is that of the peace.
end_training() {
    await pages_agree
    kill -CONT "${pids[worker-1]}"
    start_task evaluator "$(task "$cluster" evaluator 0)" "$worker" "${options[@]}" "${@:2}"
    await_end worker-0 0
    await_end worker-1 0
    await_end evaluator 0
    await_end ps-0 0
    kill_all
    keep_model "$1"
    cp "$scratch/peace.safetensors" "$case_dir"
    same_model peace "$1"
}

begin "a training in peace"
cluster="{\"ps\": [$(listening 1)], \"worker\": [$(not_listening worker 2)]}"
start_cluster "$cluster" 1 2 "${options[@]}"
await_all
keep_model peace
mv "$case_dir/peace.safetensors" "$scratch"

begin "without keys: no attack changes the model, takes memory or keeps a worker out"
echo "without keys" >"$table"
begin_training
under_attack "10,000 connections that say little" crowd
under_attack "greetings, a byte at a time" slow-greeting
under_attack "frames, a byte at a time" slow-frame
under_attack "frames of 16 GiB" claims-beyond
under_attack "$ATTACK_CLAIMS frames of the largest size, none of which comes" claims-within
under_attack "junk, before and after the greeting" junk
under_attack "messages of 16 GiB, the frames of which come" hoard
under_attack "what worker 1 has sent, again" replay "$case_dir/recorded"
under_attack "the same, with changes" forge "$case_dir/recorded"
end_training attacked

begin "with keys: likewise"
echo "with keys" >>"$table"
begin_training --curve-keys "$scratch/keys"
with_keys=yes
without_keys=$(find "$scratch" -name recorded | head -n 1)
injected=$("$tools/free_ports" 1)
under_attack "what a worker without keys has sent" replay "$without_keys"
under_attack "what worker 1 has sent, again" replay "$case_dir/recorded"
ATTACK_KEYS=$scratch/keys under_attack "messages of 16 GiB, of a worker that is let in" hoard
export ATTACK_CURVE=yes
under_attack "10,000 connections that say little" crowd
under_attack "greetings, a byte at a time" slow-greeting
under_attack "handshakes, a byte at a time" slow-frame
under_attack "handshakes of 16 GiB" claims-beyond
under_attack "$ATTACK_CLAIMS handshakes of the largest size, none of which comes" claims-within
under_attack "64 handshakes of the largest size, that come" claims-paid
under_attack "junk, before and after the greeting" junk
unset ATTACK_CURVE
under_attack "frames of 16 GiB, of one who has been let in" inject none "$injected"
end_training attacked --curve-keys "$scratch/keys"

begin "a ps that may open few files keeps training, and lets a worker in that starts again"
port=$("$tools/free_ports" 1)
cluster="{\"ps\": [\"127.0.0.1:$port\"], \"worker\": [$(not_listening worker 1)]}"
(
    ulimit -n 300
    exec env "TF_CONFIG=$(task "$cluster" ps 0)" "$ps"
) >"$case_dir/ps-0.log" 2>&1 &
pids[ps-0]=$!
await_log ps-0 "listening on"
start attack "$tools/attack" crowd "$port"
await_log attack "under attack"
start_task worker-0 "$(task "$cluster" worker 0)" "$worker" --output-dir "$case_dir/none" "${options[@]}" --steps 20
await_end worker-0 0
await_end ps-0 0
kill_all

sed 's/^/  /' "$table"
finish
