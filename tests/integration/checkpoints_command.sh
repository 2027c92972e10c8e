#!/bin/bash
# `penstock checkpoints`: what it says of real checkpoints, whole and damaged, what it removes and refuses.
#
# Usage: checkpoints_command.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_command.sh
source "$(dirname "$0")/lib_command.sh"

# declines MESSAGE ARGUMENT...
declines() {
    refuses 2 "^penstock checkpoints: $1" checkpoints "${@:2}"
}

begin "usage"
declines "what to do is missing: list, verify or rm"
declines "'look' is none of list, verify, rm" look "$scratch"
declines "the folder is missing" list
declines "the folder is missing" list ""
declines "'7' is one argument too many" list "$scratch" 7
declines "the steps to be removed are missing" rm "$scratch"
declines "STEP: 'x' is not a whole number from 1 on" rm "$scratch" x
declines "STEP: '0' is not a whole number from 1 on" rm "$scratch" 0
declines "there is no checkpoint of step 7 in " rm "$scratch" 7
declines "cannot read .*absent: No such file" list "$scratch/absent"
declines ".*lib.sh is no folder" list "$(realpath "$(dirname "$0")")/lib.sh"
penstock_is 0 checkpoints --help
says out "rm DIR STEP"

begin "a folder without checkpoints"
mkdir "$case_dir/empty"
penstock_is 0 checkpoints list "$case_dir/empty"
says out "^ +step +ps +bytes +final +state$"
penstock_is 0 checkpoints verify --json "$case_dir/empty"
says out '"verified": true, "checkpoints": \[$'

begin "checkpoints of a real job"
make_data "$scratch/data" 300
cuts=$case_dir/'cuts "1"'
ps_options=(--checkpoint-dir "$cuts" --checkpoint-steps 10 --checkpoint-keep 5)
train job 2 2 --data-folder "$scratch/data" --steps 45 --batch-size 20 --optimizer adam
penstock_is 0 checkpoints list "$cuts"
says out "^ +45 +2 +[1-9][0-9]+ +yes +whole$"
says out "^ +40 +2 +[1-9][0-9]+ +no +whole$"
penstock_is 0 checkpoints verify "$cuts"
says out "^ +20 .* whole, verified$"
[ "$(wc -l <"$case_dir/out")" = 6 ] || fail "there are not 5 checkpoints"

# One that only reading shows, a manifest, and a shard that is not there.
damage_three() {
    printf x | dd of="$cuts/step-000000000040/ps-1-of-2.safetensors" bs=1 \
        seek=$(($(stat -c %s "$cuts/step-000000000040/ps-1-of-2.safetensors") - 9)) conv=notrunc status=none
    truncate -s -1 "$cuts/step-000000000030/ps-0-of-2.json"
    rm "$cuts/step-000000000020/ps-0-of-2.json"
}
damage_three
penstock_is 0 checkpoints list "$cuts"
says out "^ +40 .* whole$"
says out "^ +30 +2 of 2 .*ps-0-of-2.json: it is damaged: its checksum does not fit$"
says out "^ +20 +1 of 2 .* only 1 of 2 shards are there$"
penstock_is 3 checkpoints verify "$cuts"
says out "^ +45 .* whole, verified$"
says out "^ +40 .*ps-1-of-2.safetensors: slice-[0-9.slot-]+ is damaged: its checksum does not fit$"
says err "^penstock checkpoints: of 5 checkpoints in .* 3 cannot be used$"
penstock_is 3 checkpoints verify --json "$cuts"
says out '\{"schema": "penstock-checkpoints/1", "folder": ".*cuts \\"1\\"", "verified": true, "checkpoints": \[$'
says out '\{"step": 45, "ps": 2, "shards": 2, "bytes": [0-9]+, "final": true, "whole": true, "damage": ""\},$'
says out '\{"step": 20, "ps": 2, "shards": 1, "bytes": 0, "final": false, "whole": false, "damage": "only 1 of 2 '

penstock_is 0 checkpoints rm "$cuts" 20 45
says out "^removed the checkpoint of step 45$"
penstock_is 0 checkpoints list "$cuts"
[ "$(wc -l <"$case_dir/out")" = 4 ] || fail "there are not 3 checkpoints left"
[ ! -e "$cuts/step-000000000045" ] || fail "step 45 is still there"
declines "there is no checkpoint of step 45 in " rm "$cuts" 45

finish
