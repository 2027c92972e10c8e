#!/bin/bash
# Several commands at once on one registry, killed at random, 200 times: database and files agree every time, and what
# has said that it is done is done.
#
# Usage: models_together.sh BUILD_FOLDER
# Who is killed loses nothing that is written: memory will do for a disk, and is faster.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_registry.sh
source "$(dirname "$0")/lib_registry.sh"

readonly TOGETHER=4
readonly SPAN_MAX_US=20000000 # only what crawls gets so much
rounds=$(scaled 200)
RANDOM=7

# A pipe that nobody writes to: `read -t` from it waits without a process of its own.
mkfifo "$scratch/nobody"
exec 8<>"$scratch/nobody"

# One command, by its number in the round; what it says goes to $case_dir/said-NUMBER.
do_something() {
    local number=$1 chosen=$((RANDOM % 8))
    case $chosen in
    0) set -- models rm --all x ;;
    1) set -- models download x --to "$case_dir/down-$number" ;;
    2) set -- models verify ;;
    3 | 4) set -- models register --name x --path "$case_dir/model-$((RANDOM % 3))" ;;
    *) set -- models register --name y --path "$case_dir/model-$((RANDOM % 3))" ;;
    esac
    PENSTOCK_HOME=$case_dir/home "$launcher" "$@" >"$case_dir/said-$number" 2>"$case_dir/err-$number" 8<&- &
    started[number]=$!
}

# The longest that a round is left alone: it follows from whether any, or all, of the one before were killed.
span_us=50000
killed=0 done=0 registered=0

one_round() {
    started=()
    rm -f "$case_dir"/said-* "$case_dir"/err-*
    local before=$killed wait_us
    for ((i = 0; i < TOGETHER; i++)); do do_something "$i"; done
    wait_us=$(((RANDOM * 32768 + RANDOM) % span_us))
    read -r -t "$(printf '%d.%06d' $((wait_us / 1000000)) $((wait_us % 1000000)))" -u 8
    # Those of the first round make the registry, which all later ones need.
    [ ! -e "$case_dir/home/registry.db" ] || kill -KILL "${started[@]}"
    for ((i = 0; i < TOGETHER; i++)); do
        wait "${started[i]}"
        code=$?
        case $code in
        0) done=$((done + 1)) ;;
        137) killed=$((killed + 1)) ;;
        *) grep -qE "there is no (model|version|registry)|is not there any more" "$case_dir/err-$i" ||
            fail "round $round: exit code $code: $(cat "$case_dir/err-$i")" ;;
        esac
        if grep -q ^registered "$case_dir/said-$i"; then
            registered=$((registered + 1))
            cut -d' ' -f2,4 "$case_dir/said-$i" >>"$case_dir/registered"
        fi
    done
    if ((killed == before)); then
        span_us=$((span_us * 3 / 4 + 1000))
    elif ((killed == before + TOGETHER && span_us < SPAN_MAX_US)); then
        span_us=$((span_us * 5 / 4))
    fi
    penstock_is 0 models verify
    left=("$case_dir"/home/incoming/*)
    [ ! -e "${left[0]}" ] || fail "round $round: left in incoming: ${left[*]}"
    rm -rf "$case_dir"/down-*
}

# all_rounds COUNT   on a registry that is there.
all_rounds() {
    local round name version i
    killed=0 done=0 registered=0
    for i in 0 1 2; do
        mkdir "$case_dir/model-$i"
        head -c $((1000 + 100000 * i)) /dev/urandom >"$case_dir/model-$i/model.safetensors"
        echo "the same" >"$case_dir/model-$i/model.json"
    done
    # The shell's own words on those killed go nowhere.
    exec 9>&2 2>/dev/null
    for ((round = 0; round < $1 && failures == 0; round++)); do one_round; done
    exec 2>&9 9>&-
    holds_together
    # No number was given twice, and each of y, which nobody removes, is there.
    [ -z "$(sort "$case_dir/registered" | uniq -d)" ] || fail "given twice: $(sort "$case_dir/registered" | uniq -d)"
    penstock_is 0 models list y --json
    while read -r name version; do
        [ "$name" = x ] || says out "\"name\": \"y\", \"version\": $version,"
    done <"$case_dir/registered"
    echo "  $killed commands were killed, $done were done, $registered of them registrations"
    ((killed > $1 / 10 && done > $1 / 10)) || fail "there was nothing to be seen: too many or too few were killed"
}

begin "$TOGETHER at once, killed at random, $rounds times"
all_rounds "$rounds"

begin "the same with a rollback journal, as on a network file system"
echo first >"$case_dir/first"
LD_PRELOAD=$tools/as_nfs.so penstock_is 0 models register --name z --path first
[ -z "$(find "$case_dir/home" -name '*-wal')" ] || fail "there is a write-ahead log"
all_rounds "$((rounds / 4))"
finish
