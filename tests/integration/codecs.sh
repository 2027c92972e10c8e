#!/bin/bash
# Gradients and weights in every codec: the model learns, and synchronous training gives the same bits.
#
# Usage: codecs.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" "$(scaled 2000)"
common=(--data-folder "$scratch/data" --epochs 2 --learning-rate 0.1)
few=(--data-folder "$scratch/data" --evaluate-every 0 --steps "$(scaled 30)" --optimizer momentum)

# learnt PERCENT   says the log of worker 0, of the last epoch.
learnt() {
    local accuracy
    accuracy=$(sed -nE 's/.*test accuracy ([0-9.]+) %.*/\1/p' "$case_dir/worker-0.log" | tail -n 1)
    ((scale < 100)) || awk -v a="${accuracy:-0}" -v w="$1" 'BEGIN { exit !(a >= w) }' ||
        fail_log worker-0 "${accuracy:-no} % accuracy instead of at least $1 %"
}

for codec in bf16 fp16 int8 "topk --topk-fraction 0.05"; do
    # shellcheck disable=SC2206 # an option and its value
    codecs=(--pull-codec bf16 --push-codec $codec)
    begin "$codec: the model learns, and again with the same bits"
    train first 2 2 "${common[@]}" "${codecs[@]}"
    learnt 90
    expect_log worker-0 "a step pushes "
    train again 2 2 "${common[@]}" "${codecs[@]}"
    same_model first again
    train through-sockets 2 2 "${common[@]}" "${codecs[@]}" --no-shared-memory
    same_model first through-sockets

    begin "$codec: a worker without a cluster comes to the bits of one with one ps"
    train cluster 1 1 "${few[@]}" "${codecs[@]}"
    run_program worker 0 "$worker" --output-dir "$case_dir/outputs" "${few[@]}" "${codecs[@]}"
    keep_model embedded
    same_model cluster embedded
done

for codec in bf16 fp16; do
    begin "$codec: any number of ps gives the same bits, whatever the size of slices"
    train one 1 2 "${few[@]}" --push-codec "$codec" --pull-codec "$codec"
    train three 3 2 "${few[@]}" --push-codec "$codec" --pull-codec "$codec" --slice-kib 4
    same_model one three
done

begin "codecs make a difference"
train plain 1 2 "${few[@]}"
train pushed 1 2 "${few[@]}" --push-codec bf16
train pulled 1 2 "${few[@]}" --pull-codec bf16
different_model plain pushed
different_model plain pulled
different_model pushed pulled

finish
