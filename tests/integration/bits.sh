#!/bin/bash
# Synchronous training gives the same bits: again, on any number of ps, inside the worker, and in a plain loop.
#
# Usage: bits.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

# Of 1130 rows the last step of an epoch has 30 for worker 1 of 3 and none for worker 2.
make_data "$scratch/data" 1130
steps=$(scaled 30)
(( steps >= 9 )) || steps=9 # past the end of the first epoch
common=(--data-folder "$scratch/data" --evaluate-every 0 --steps "$steps")
# shellcheck disable=SC2034 # read through a name reference
sgd=(--optimizer sgd --learning-rate 0.1)
momentum=(--optimizer momentum --learning-rate 0.02)
adam=(--optimizer adam --learning-rate 0.002 --clip-norm 0.5)

plain_loop() {
    run_program "plain-loop" 0 "$tools/plain_loop" "$scratch/data" "$case_dir/$1.safetensors" "${@:2}"
}

begin "a run repeated gives the same bits, and another seed others"
train first 2 3 "${common[@]}" "${momentum[@]}"
train again 2 3 "${common[@]}" "${momentum[@]}"
train seeded 2 3 "${common[@]}" "${momentum[@]}" --seed 2
same_model first again
different_model first seeded

for optimizer in sgd momentum adam; do
    declare -n options=$optimizer
    begin "$optimizer: any number of ps gives the same bits, whatever the size of slices"
    train one 1 3 "${common[@]}" "${options[@]}"
    for servers in 2 3 5; do
        train "$servers" "$servers" 3 "${common[@]}" "${options[@]}" --slice-kib 4
        same_model one "$servers"
    done
    if [ "$optimizer" != adam ]; then
        plain_loop plain 3 "$steps" "${options[1]}" "${options[3]}"
        same_model one plain
    fi
done

begin "the threads of a ps do not show in the bits"
train alone 2 3 "${common[@]}" "${momentum[@]}"
ps_options=(--threads 3)
train together 2 3 "${common[@]}" "${momentum[@]}"
ps_options=()
same_model alone together

begin "norm clipping was in use"
train clipped 1 3 "${common[@]}" "${adam[@]}"
train free 1 3 "${common[@]}" --optimizer adam --learning-rate 0.002
different_model clipped free

for optimizer in sgd momentum adam; do
    declare -n options=$optimizer
    begin "$optimizer: one worker gives the same bits in a cluster, without one, and in a plain loop"
    train cluster 2 1 "${common[@]}" "${options[@]}" --slice-kib 4
    run_program worker 0 "$worker" --output-dir "$case_dir/outputs" "${common[@]}" "${options[@]}"
    keep_model embedded
    same_model cluster embedded
    if [ "$optimizer" != adam ]; then
        plain_loop plain 1 "$steps" "${options[1]}" "${options[3]}"
        same_model embedded plain
    fi
done

finish
