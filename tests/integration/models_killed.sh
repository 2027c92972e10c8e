#!/bin/bash
# A registry whose user is killed, or whose disk fails, at one change of the disk after the other: database and files
# agree afterwards, what was told to be done is done, and nothing lies about. Several at once: models_together.sh.
#
# Usage: models_killed.sh BUILD_FOLDER
# Who is killed loses nothing that is written: memory will do for a disk, and is faster.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_registry.sh
source "$(dirname "$0")/lib_registry.sh"

readonly KILLED=137

make_model() {
    mkdir -p "$case_dir/model"
    echo "weights $1" >"$case_dir/model/model.safetensors"
    echo "the same" >"$case_dir/model/model.json"
}

# The versions of x, in one line.
versions() {
    penstock_is 0 models list --json
    grep -oE '"version": [0-9]+' "$case_dir/out" | cut -d' ' -f2 | paste -sd' '
}

# Everything that must hold after a command was stopped, as the next command finds it.
check() {
    penstock_is 0 models verify
    [ ! -s "$case_dir/err" ] || fail "verify says $(cat "$case_dir/err")"
    local left=("$case_dir"/home/incoming/*)
    [ ! -e "${left[0]}" ] || fail "left in incoming: ${left[*]}"
}

# stop_everywhere STRIDE ERROR BEFORE AFTER COMMAND...   a command is stopped at its 1st call, and each STRIDE further,
# until it gets by. The versions are then as they were, or as it was to make them; that too only if it was killed.
stop_everywhere() {
    local stride=$1 error=$2 before=$3 after=$4 call code found stopped=0
    shift 4
    for ((call = 1; ; call += stride)); do
        rm -rf "${case_dir:?}/home" "$case_dir/x-1"
        cp -r "$case_dir/prepared" "$case_dir/home"
        at_call "$call" "$error" "$@"
        code=$?
        cp "$case_dir/err" "$case_dir/said"
        check
        found=$(versions)
        [ "$code" != 0 ] || break
        stopped=$((stopped + 1))
        if [ -n "$error" ]; then
            grep -qE '(No space left on device|Input/output error|disk is full|cannot use .*registry.db)' "$case_dir/said" ||
                fail "$*: $error at call $call: it says '$(cat "$case_dir/said")'"
        fi
        [ "$found" = "$before" ] || [ "$found" = "$after" ] || fail "$* at call $call: the versions are '$found'"
        [ -n "$error" ] || [ "$code" = $KILLED ] || fail "$*: exit code $code at call $call"
        if [ -e "$case_dir/x-1" ]; then
            diff -r "$case_dir/first" "$case_dir/x-1" || fail "$* at call $call: half a model is there"
        fi
        [ "$failures" = 0 ] || return
    done
    [ "$found" = "$after" ] || fail "$*: the versions are '$found'"
    ((stopped > 1)) || fail "$*: stopped only $stopped times"
    echo "  ${*:1:2}: stopped at $stopped calls${error:+ by $error}"
}

prepare() {
    make_model one
    cp -r "$case_dir/model" "$case_dir/first"
    penstock_is 0 models register --name x --path model
    make_model two
    mv "$case_dir/home" "$case_dir/prepared"
}

# The same of the command that makes the registry: the next one finds none, or one that works.
stop_making_everywhere() {
    local call code
    for ((call = 1; ; call += $1)); do
        rm -rf "${case_dir:?}/home"
        at_call "$call" "" models register --name x --path model
        code=$?
        (cd "$case_dir" && PENSTOCK_HOME=$case_dir/home exec "$launcher" models rm --all y) >/dev/null 2>"$case_dir/said"
        grep -qE "there is no (registry in|model y)" "$case_dir/said" || fail "made until call $call: $(cat "$case_dir/said")"
        penstock_is 0 models register --name x --path model
        check
        [ "$code" != 0 ] || break
        [ "$failures" = 0 ] || return
    done
    echo "  stopped at $((call / $1)) calls"
}

begin "stopped at one change after the other"
# Sanitizers make commands slow: then not each.
each=$((200 / scale - 1))
prepare
stop_everywhere "$each" "" "1" "1 2" models register --name x --path model
stop_everywhere "$each" "" "1" "" models rm x:1
stop_everywhere "$each" "" "1" "1" models download x:1
stop_everywhere $((3 * each)) ENOSPC "1" "1 2" models register --name x --path model
stop_everywhere $((3 * each)) EIO "1" "1 2" models register --name x --path model
stop_everywhere $((3 * each)) ENOSPC "1" "1" models download x:1
begin "stopped while it makes the registry"
make_model one
stop_making_everywhere $((2 * each))
finish
