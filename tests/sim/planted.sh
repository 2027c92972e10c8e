#!/bin/bash
# Does the simulator find a fault that is planted, and does the command that it prints show the same fault again?
#
# Usage: planted.sh PENSTOCK_SIM FAULT SEEDS     it must be found within so many seeds
set -u
sim=$1 fault=$2 seeds=$3

fail() {
    echo "FAILED: $*"
    exit 1
}

found=$("$sim" --seeds "$seeds" --plant "$fault")
code=$?
echo "$found"
((code == 1)) || fail "exit code $code, not 1"
violation=$(sed -n 1p <<<"$found")
[[ $violation =~ ^seed\ ([0-9]+):\ .+ ]] || fail "the first line does not name a seed and what broke"
seed=${BASH_REMATCH[1]}
replay=$(sed -n 's/^replay: //p' <<<"$found")
command=${replay#"$sim "}
[[ $command != "$replay" ]] || fail "no command that replays it"

read -ra arguments <<<"$command"
replayed=$("$sim" "${arguments[@]}")
code=$?
((code == 1)) || fail "the replay ends with exit code $code, not 1"
grep -qxF "$violation" <<<"$replayed" || fail "the replay breaks something else: $(tail -n 2 <<<"$replayed")"
grep -qE '^ *[0-9]+ ms  .* -> .* arrives$' <<<"$replayed" || fail "the replay traces no message"

"$sim" --seed "$seed" || fail "the seed fails without the fault, too"
