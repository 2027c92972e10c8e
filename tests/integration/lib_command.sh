# shellcheck shell=bash
# shellcheck disable=SC2154 # case_dir, launcher come from lib.sh
# lib_command.sh - for tests of commands of `penstock` that run to their end: to be sourced after lib.sh. They run in the
# folder of the case, which has the registry, too.

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
