#!/bin/bash
# Who is let in: keys (CURVE), the list of those allowed, and what a ps does without. Prints a table of what was
# tried and what became of it.
#
# Usage: security.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 600
options=(--data-folder "$scratch/data" --hidden 20 --evaluate-every 0 --steps "$(scaled 40)")
keys=$scratch/keys
"$launcher" keygen "$keys" --workers 3 >/dev/null || fail "keygen ended with $?"

# counted NAME   the value of that series of ps-0, which begins with penstock_ps_refused_.
counted() {
    curl --silent --show-error --max-time 10 "http://$(cat "$case_dir/http")/metrics" |
        awk -v name="penstock_ps_refused_$1" '$1 == name { print $2 }'
}

has_counted() {
    local now
    now=$(counted "$1")
    [ -n "$now" ] && [ "$now" -ge "$2" ]
}

# keys_of NAME FILE...   a folder with only these files of the keys.
keys_of() {
    local folder=$scratch/$1
    shift
    rm -rf "$folder"
    mkdir "$folder"
    (cd "$keys" && cp -p "$@" "$folder")
    echo "$folder"
}

begin "keygen makes files for their owners alone, and never overwrites"
for file in ps.key chief.key worker-1.key worker-2.key evaluator.key admin.key; do
    expect [ "$(stat -c %a "$keys/$file")" = 600 ]
done
expect [ "$(stat -c %a "$keys")" = 700 ]
expect [ "$(grep -vc '^#' "$keys/allow")" = 5 ]
cp -r "$keys" "$scratch/before"
run_program again 1 "$launcher" keygen "$keys"
expect_log again "File exists"
expect diff -r "$keys" "$scratch/before"
run_program none 2 "$launcher" keygen
run_program many 2 "$launcher" keygen "$scratch/x" --workers 1025
expect [ ! -e "$scratch/x" ]

begin "a full disk, at whichever change, leaves no half of a folder and names the file"
for ((call = 1; call < 1000; call++)); do
    rm -rf "$case_dir/full"
    NTH_CALL=$call NTH_ERROR=ENOSPC LD_PRELOAD=$tools/nth_call.so "$launcher" keygen "$case_dir/full" \
        >"$case_dir/full.log" 2>&1 && break
    expect [ ! -e "$case_dir/full" ]
    expect_log full "No space left on device"
    expect_log full "$case_dir/full"
done
expect [ "$call" -gt 5 ]
expect [ -s "$case_dir/full/allow" ]

begin "a cluster with keys trains to the same model as one without, each host with its own files alone"
train plain 2 3 "${options[@]}"
plain=$case_dir/plain.safetensors
servers=$(keys_of servers ps.key allow)
chief=$(keys_of chief chief.key ps.pub)
cluster=$(dense 2 3)
for i in 0 1; do
    start_task "ps-$i" "$(task "$cluster" ps "$i")" "$ps" --curve-keys "$servers"
done
start_task worker-0 "$(task "$cluster" worker 0)" "$worker" --output-dir "$case_dir/outputs" "${options[@]}" \
    --curve-keys "$chief"
for i in 1 2; do
    PENSTOCK_CURVE_KEYS=$(keys_of "own-$i" "worker-$i.key" ps.pub) \
        start_task "worker-$i" "$(task "$cluster" worker "$i")" "$worker" --output-dir "$case_dir/none" "${options[@]}"
done
await_all
keep_model secured
same_model plain secured

# ---- a live training, and those who are not to come in ------------------------------------------------

begin "who has no right key changes nothing, and is told why"
cluster=$(dense 1 3)
changing=$(keys_of changing ps.key allow)
start_task ps-0 "$(task "$cluster" ps 0)" "$ps" --curve-keys "$changing" --http-port 0 --http-port-file "$case_dir/http"
start_task worker-0 "$(task "$cluster" worker 0)" "$worker" --output-dir "$case_dir/outputs" "${options[@]}" \
    --curve-keys "$chief"
await_log ps-0 "worker 0 joined"
expect [ "$(counted 'handshakes_total{reason="key_not_allowed"}')" = 0 ]

"$launcher" keygen "$scratch/foreign" >/dev/null
table=$scratch/table
printf '%-46s %s\n' "who" "what became of it" >"$table"

# stranger NAME INDEX CODES TEXT KEYS   a worker with these keys (none: "") ends with one of CODES and says TEXT.
stranger() {
    local name=$1 index=$2 codes=$3 text=$4 with=$5 code
    start_task stranger "$(task "$cluster" worker "$index")" "$worker" --output-dir "$case_dir/none" "${options[@]}" \
        ${with:+--curve-keys "$with"}
    await has_ended stranger && wait "${pids[stranger]}"
    code=$?
    unset "pids[stranger]"
    [[ " $codes " == *" $code "* ]] || fail_log stranger "the stranger $name ended with $code, not $codes"
    expect_log stranger "$text"
    printf '%-46s ended with %s: %s\n' "$name" "$code" "$text" >>"$table"
    is_running ps-0 || fail_log ps-0 "the ps has ended"
}
# Which of two that speak differently notices first is chance; then that one knows, and the other is hung up on.
stranger "without a key" 1 "2 138" "it asks for keys (--curve-keys)" ""
stranger "who takes another for the ps" 1 138 "it does not have the key in ps.pub" "$scratch/foreign"
cp "$keys/ps.pub" "$scratch/foreign/"
stranger "with a key that is not listed" 1 2 "does not let this process's key in" "$scratch/foreign"
await_log ps-0 "is not in $changing/allow"
mixed=$(keys_of mixed worker-2.key ps.pub)
mv "$mixed/worker-2.key" "$mixed/worker-1.key"
stranger "worker 2 that says it is worker 1" 1 2 "as worker 1, but its key is of worker, index 2" "$mixed"
chmod 640 "$mixed/worker-1.key"
stranger "whose secret key its group may read" 1 2 "others may read this secret key" "$mixed"
await_log ps-0 "failed in the handshake"
expect [ "$(grep -c "worker . joined" "$case_dir/ps-0.log")" = 1 ]
for reason in key_not_allowed wrong_ps_key; do
    await has_counted "handshakes_total{reason=\"$reason\"}" 1
done
has_met_plain_text() { # of two that speak differently one notices first, and hangs up
    has_counted 'handshakes_total{reason="other_mechanism"}' 1 || has_counted 'handshakes_total{reason="hung_up"}' 1
}
await has_met_plain_text
await has_counted 'messages_total{reason="not_its_role"}' 1
expect [ "$(counted 'messages_total{reason="malformed"}')" = 0 ]

echo "a key is replaced while the job runs: the new one is let in, the old one is not any more"
"$launcher" keygen "$scratch/fresh" --workers 2 >/dev/null
{
    grep -v '^worker:1 ' "$keys/allow"
    grep '^worker:1 ' "$scratch/fresh/allow"
} >"$changing/allow.new"
mv "$changing/allow.new" "$changing/allow"
await_log ps-0 "allow has changed: 5 keys are let in"
stranger "worker 1 with its old key" 1 2 "does not let this process's key in" "$(keys_of "own-1" worker-1.key ps.pub)"
echo "nonsense" >"$changing/allow.new"
mv "$changing/allow.new" "$changing/allow"
await_log ps-0 "the list of keys stays as it was"
mkfifo "$changing/allow.new"
mv "$changing/allow.new" "$changing/allow"
await_log ps-0 "allow is not a regular file"
fresh=$(keys_of fresh-1 ps.pub)
cp -p "$scratch/fresh/worker-1.key" "$fresh"
start_task worker-1 "$(task "$cluster" worker 1)" "$worker" --output-dir "$case_dir/none" "${options[@]}" \
    --curve-keys "$fresh"
start_task worker-2 "$(task "$cluster" worker 2)" "$worker" --output-dir "$case_dir/none" "${options[@]}" \
    --curve-keys "$(keys_of "own-2" worker-2.key ps.pub)"
await_all
keep_model beset
cp "$plain" "$case_dir/plain.safetensors"
same_model plain beset
printf '%-46s %s\n' "the model after all that" "bit for bit that of a cluster without keys" >>"$table"

begin "who loses its right while it trains is not heard any more"
cluster=$(dense 1 2)
changing=$(keys_of changing ps.key allow)
endless=(--data-folder "$scratch/data" --hidden 20 --evaluate-every 0 --epochs 100000)
start_task ps-0 "$(task "$cluster" ps 0)" "$ps" --curve-keys "$changing" --http-port 0 --http-port-file "$case_dir/http"
start_task worker-0 "$(task "$cluster" worker 0)" "$worker" --output-dir "$case_dir/none" "${endless[@]}" \
    --curve-keys "$chief"
start_task worker-1 "$(task "$cluster" worker 1)" "$worker" --output-dir "$case_dir/none" "${endless[@]}" \
    --curve-keys "$(keys_of "own-1" worker-1.key ps.pub)"
await_log ps-0 "worker 1 joined"
grep -v '^worker:1 ' "$keys/allow" >"$changing/allow.new"
mv "$changing/allow.new" "$changing/allow"
await_log ps-0 "is not let in any more"
await has_counted 'messages_total{reason="key_removed"}' 1
kill_all

begin "the key of the ps is replaced while the job trains, and the model is the same"
cluster=$(dense 2 2)
cp -r "$keys" "$case_dir/keys"
long=(--data-folder "$scratch/data" --hidden 20 --evaluate-every 0 --steps "$(scaled 3000)")
train plain 2 2 "${long[@]}"
has_changed_twice() {
    [ "$(grep -c "ps.key has changed" "$case_dir/ps-$1.log")" = 2 ]
}
start_both_ps() {
    for i in 0 1; do
        start_task "ps-$i" "$(task "$cluster" ps "$i")" "$ps" --curve-keys "$case_dir/keys" \
            --http-port 0 --http-port-file "$case_dir/http-$i"
    done
}
start_one_worker() {
    start_task "worker-$1" "$(task "$cluster" worker "$1")" "$worker" --output-dir "$case_dir/outputs" "${long[@]}" \
        --curve-keys "$case_dir/keys"
}
start_both_ps
start_one_worker 0
await_log worker-0 "joined ps/1" # the other one is waited for
before=$(cat "$case_dir/keys/ps.key")
run_program rotated 0 "$launcher" keygen --rotate ps "$case_dir/keys"
expect [ "$before" != "$(cat "$case_dir/keys/ps.key")" ]
expect [ "$(stat -c %a "$case_dir/keys/ps.key")" = 600 ]
for i in 0 1; do
    await_log "ps-$i" "ps.key has changed"
done
await_log worker-0 "holds another key: connecting with it"
start_one_worker 1 # which knows the new key alone
await_log ps-0 "worker 1 joined"
kill -STOP "${pids[worker-1]}" # so that training does not end before
run_program rotated-again 0 "$launcher" keygen --rotate ps "$case_dir/keys"
for i in 0 1; do
    await has_changed_twice "$i"
done
cp -p "$case_dir/keys/ps.key" "$case_dir/good"
(umask 077 && echo nonsense >"$case_dir/bad")
mv "$case_dir/bad" "$case_dir/keys/ps.key"
await_log ps-0 "the key stays as it was"
mv "$case_dir/good" "$case_dir/keys/ps.key"
kill -CONT "${pids[worker-1]}"
await_all
keep_model rotated
same_model plain rotated
run_program no-folder 1 "$launcher" keygen --rotate ps "$case_dir/absent"
expect_log no-folder "absent/ps.key"
run_program no-such 2 "$launcher" keygen --rotate worker "$case_dir/keys"

begin "a ps with keys refuses to begin without what it needs"
refuses() {
    run_program ps-0 2 env "TF_CONFIG=$(task "$(dense 1 1)" ps 0)" "$ps" "${@:2}"
    expect_log ps-0 "$1"
}
refuses "ps.key: No such file" --curve-keys "$(keys_of lacking allow)"
refuses "allow: No such file" --curve-keys "$(keys_of lacking ps.key)"
lacking=$(keys_of lacking ps.key allow)
chmod 644 "$lacking/ps.key"
refuses "chmod 600" --curve-keys "$lacking"
lacking=$(keys_of lacking ps.key allow)
rm "$lacking/ps.key"
mkfifo "$lacking/ps.key"
refuses "ps.key is not a regular file" --curve-keys "$lacking"
lacking=$(keys_of lacking ps.key allow)
chmod 777 "$lacking"
refuses "others may write to this folder" --curve-keys "$lacking"
refuses "has an empty name" --curve-keys ""

begin "without keys a ps listens on loopback alone, unless it is told to"
open="{\"ps\": [\"0.0.0.0:$("$tools/free_ports" 1)\"], \"worker\": [\"worker-0.example:2222\"]}"
run_program ps-0 2 env "TF_CONFIG=$(task "$open" ps 0)" "$ps"
expect_log ps-0 "would listen beyond this host"
expect_log ps-0 "--insecure"
start_task insecure "$(task "$open" ps 0)" "$ps" --insecure
await_log insecure "listening on *:"
expect_log insecure "whoever reaches port"
kill_all

sed 's/^/  /' "$table"
finish
