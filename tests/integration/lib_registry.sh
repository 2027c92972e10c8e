# shellcheck shell=bash
# shellcheck disable=SC2154 # case_dir, launcher, tools come from lib.sh
# lib_registry.sh - for tests of what is kept in a registry: to be sourced after lib.sh. Each case has one of its own.
# shellcheck source=tests/integration/lib_command.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib_command.sh"

# The files that are kept have the SHA-256 that they are named by; nothing is in progress.
holds_together() {
    local path
    [ -d "$case_dir/home/files" ] || return 0
    find "$case_dir/home/files" -type f | while read -r path; do
        [ "$(sha256sum <"$path")" = "$(basename "$path")  -" ] || echo "$path"
    done >"$case_dir/wrong"
    [ ! -s "$case_dir/wrong" ] || fail "not what they are named by: $(cat "$case_dir/wrong")"
    [ -z "$(ls -A "$case_dir/home/incoming")" ] || fail "left in incoming: $(ls -A "$case_dir/home/incoming")"
}

# at_call N ERROR ARGUMENT...   a command that is killed at its Nth call that changes the disk, or with an ERROR, whose
# calls fail from there on. Its exit code.
at_call() {
    local number=$1 error=$2
    shift 2
    # The shell's own word on the kill goes nowhere.
    {
        (cd "$case_dir" && exec env PENSTOCK_HOME="$case_dir/home" NTH_CALL="$number" ${error:+NTH_ERROR="$error"} \
            LD_PRELOAD="$tools/nth_call.so" "$launcher" "$@") >"$case_dir/out" 2>"$case_dir/err"
    } 2>/dev/null
}

# ---- runs of daemons that only play their part (fake-daemon) ----

# A new case, with daemons of its own, whose modes are in fake/.
begin_runs() {
    local here
    here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
    begin "$1"
    mkdir "$case_dir/bin" "$case_dir/fake"
    ln -s "$here/fake-daemon" "$case_dir/bin/penstock-ps"
    ln -s "$here/fake-daemon" "$case_dir/bin/penstock-worker"
    export FAKE_DIR=$case_dir/fake PENSTOCK_HOME=$case_dir/home
}

mode() {
    echo "${*:2}" >"$case_dir/fake/$1.mode"
}

# phase_is ID PHASE
phase_is() {
    "$launcher" runs show "$1" 2>/dev/null | grep -qE "^phase +$2$"
}
