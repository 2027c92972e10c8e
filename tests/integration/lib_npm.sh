# shellcheck shell=bash
# lib_npm.sh - packages of npm for tests that need some: fetched once, of versions that are named, and kept beside MNIST.
# None of their scripts runs. To be sourced after lib.sh.

npm_cache=${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}

# npm_fetch NAME PACKAGE@VERSION...   leaves the folder of their modules in $npm_modules; NAME should say the versions, too.
# Ends the test with 77 where there is no npm. Installed beside its place and moved there whole.
npm_fetch() {
    local place=$npm_cache/$1 work
    shift
    if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
        echo "there is no npm here to fetch $* with"
        exit 77
    fi
    if [ ! -d "$place" ]; then
        mkdir -p "$npm_cache" && work=$(mktemp -d "$npm_cache/.fetch-XXXXXX") || exit 1
        if npm install --ignore-scripts --legacy-peer-deps --no-audit --no-fund --silent --prefix "$work" "$@" >&2; then
            mv -T "$work" "$place" 2>/dev/null
        fi
        rm -rf "$work"
        [ -d "$place" ] || {
            echo "npm cannot install $*"
            exit 1
        }
    fi
    npm_modules=$place/node_modules
}
