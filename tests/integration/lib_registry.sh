# shellcheck shell=bash
# shellcheck disable=SC2154 # case_dir, launcher, tools come from lib.sh
# lib_registry.sh - for tests of what is kept in a registry: to be sourced after lib.sh. Each case has one of its own.

# penstock_is CODE ARGUMENT...   a command runs to its end, which is to be CODE; output in out and err.
penstock_is() {
    local wanted=$1 code
    shift
    (cd "$case_dir" && PENSTOCK_HOME=$case_dir/home exec "$launcher" "$@") >"$case_dir/out" 2>"$case_dir/err"
    code=$?
    [ "$code" = "$wanted" ] || fail "$*: exit code $code instead of $wanted: $(cat "$case_dir/err")"
}

says() {
    grep -qE -- "$2" "$case_dir/$1" || {
        fail "$1 does not say '$2'"
        sed 's/^/    /' "$case_dir/$1"
    }
}

# refuses CODE MESSAGE ARGUMENT...
refuses() {
    local code=$1 message=$2
    shift 2
    penstock_is "$code" "$@"
    says err "$message"
    [ ! -s "$case_dir/out" ] || fail "$*: prints something"
}

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
