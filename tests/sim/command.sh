#!/bin/bash
# `penstock sim`: what it refuses, what its help names, and that the command it prints is the one that was given.
#
# Usage: command.sh PENSTOCK
set -u
penstock=$1
failures=0

fail() {
    echo "  FAILED: $*"
    failures=$((failures + 1))
}

# simulate CODE ARGUMENT...   output and errors to $said
simulate() {
    said=$("$penstock" sim "${@:2}" 2>&1 </dev/null)
    local code=$?
    ((code == $1)) || fail "sim ${*:2}: exit code $code, not $1: $said"
}

expect_said() {
    grep -qF -- "$1" <<<"$said" || fail "not said: $1, but: $said"
}

# refuse MESSAGE ARGUMENT...   in one line, and the hint at --help
refuse() {
    echo "refused: ${*:2}"
    simulate 2 "${@:2}"
    expect_said "penstock sim: $1"
    (($(wc -l <<<"$said") == 2)) || fail "not one line and a hint: $said"
}

for value in 0 -1 +1 " 1" 1e3 1.5 0x10 many "" 4294967296 99999999999999999999; do
    refuse "--seeds: '$value' is not a whole number from 1 to 4294967295" "--seeds=$value"
done
for option in seed first-seed; do
    for value in -1 x "" 9223372036854775808; do
        refuse "--$option: '$value' is not a whole number from 0 to 9223372036854775807" "--$option=$value"
    done
done
refuse "--first-seed: 2 schedules from 9223372036854775807 on exceed the last seed, 9223372036854775807" \
    --first-seed 9223372036854775807 --seeds 2
refuse "--seed stands for one schedule; it does not go with --seeds and --first-seed" --seed 1 --seeds 2
refuse "--seed stands for one schedule; it does not go with --seeds and --first-seed" --first-seed 1 --seed 2
refuse "--mode: 'lively' is none of liveness safety both" --mode lively
refuse "--mode: '' is none of liveness safety both" --mode=
refuse "--plant: 'weeds' is none of " --plant weeds
refuse "unexpected argument 'stray'" stray
refuse "unrecognized option '--unknown'" --unknown
refuse "option '--seeds' requires an argument" --seeds

echo "the last seed of all is one"
simulate 0 --seed 9223372036854775807
expect_said "1 schedules passed"

echo "its help names every option"
simulate 0 --help
for option in seeds=N first-seed=S seed=S trace mode=MODE plant=FAULT; do
    expect_said "--$option"
done
expect_said "Usage: penstock sim "

echo "a seed that fails prints the command that was given, with that seed"
simulate 1 --seeds 20 --plant flip-bit
grep -qE '^replay: penstock sim --seed [0-9]+ --mode (liveness|safety) --trace --plant flip-bit$' <<<"$said" ||
    fail "no such command: $said"

if ((failures)); then
    echo "$failures failed"
    exit 1
fi
echo "all passed"
