#!/bin/bash
# `penstock predict`: a model that was really trained knows its images; what is wrong is refused by name.
#
# Usage: predict.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_command.sh
source "$(dirname "$0")/lib_command.sh"

# declines CODE MESSAGE ARGUMENT...
declines() {
    refuses "$1" "^penstock predict: $2" predict "${@:3}"
}

make_data "$scratch/data" 600 100 12
images=$scratch/data/t10k-images-idx3-ubyte
labels=$scratch/data/t10k-labels-idx1-ubyte
begin "a model is trained"
run_program training 0 "$worker" --data-folder "$scratch/data" --hidden 20,10 --epochs 10 --batch-size 20 \
    --learning-rate 0.1 --output-dir "$scratch/outputs"
model=$scratch/outputs/model

begin "it knows the images of an IDX file"
penstock_is 0 predict --top 1 "$model" "$images"
[ "$(wc -l <"$case_dir/out")" = 100 ] || fail "there are not 100 lines"
says out "^$images\[99\]: [0-9] \([0-9.]+ %\)$"
sed -E 's/.*: ([0-9]+) .*/\1/' "$case_dir/out" >"$case_dir/seen"
tail -c 100 "$labels" | od -An -v -tu1 -w1 | tr -d ' ' >"$case_dir/true"
right=$(paste -d= "$case_dir/seen" "$case_dir/true" | grep -cE '^(.+)=\1$')
((right >= 90)) || fail "only $right of 100 images are known"

begin "rows, PGM, white for black, JSON"
{
    printf 'P5\n12 12\n255\n'
    tail -c +17 "$images" | head -c 144
} >"$case_dir/first.pgm"
penstock_is 0 predict --json --logits --rows 0-2 "$model" "$images" "$case_dir/first.pgm"
says out '^\{"schema": "penstock-predict/1", "model": ".*/outputs/model", "predictions": \[$'
[ "$(grep -c '"row": ' "$case_dir/out")" = 4 ] || fail "there are not 3 rows and an image"
# The same image gives the same numbers, from whatever file.
[ "$(grep -E '"row": 0,' "$case_dir/out" | sed 's/^.*"row"/"row"/; s/,$//' | sort -u | wc -l)" = 1 ] ||
    fail "an image says something else as PGM"
says out '"top": \[\{"class": [0-9], "probability": [0-9.e-]+\}(, \{[^}]*\}){2}\], "logits": \[[-0-9.e, ]+\]\}'
penstock_is 0 predict --invert --top 99 "$model" "$case_dir/first.pgm"
[ "$(grep -o '%' "$case_dir/out" | wc -l)" = 10 ] || fail "--top 99 does not say all 10 classes"
penstock_is 0 predict --rows 7 "$model" "$images"
[ "$(wc -l <"$case_dir/out")" = 1 ] || fail "--rows 7 is not one row"

begin "usage"
declines 2 "the model is missing: a folder such as outputs/model"
declines 2 "the images are missing: PNG, PGM or IDX files" "$model"
declines 2 "--logits needs --json" --logits "$model" "$images"
declines 2 "--top: '0' is not a whole number from 1 to 1048576" --top 0 "$model" "$images"
declines 2 "--rows: '1' is not a whole number from 2 to 4294967295" --rows 2-1 "$model" "$images"
declines 2 "--rows: .*t10k-images-idx3-ubyte has rows 0 to 99" --rows 0-100 "$model" "$images"
penstock_is 0 predict --help
says out "MODEL IMAGE"
says out "Exit status: 0; 2 usage"

begin "models and images that are no good"
declines 3 "cannot open .*/absent/model.json: No such file" "$scratch/absent" "$images"
cp -r "$model" "$case_dir/model"
truncate -s -1 "$case_dir/model/model.safetensors"
declines 3 ".*/model/model.safetensors: tensor 'output/bias': data_offsets .* are not within" "$case_dir/model" "$images"
declines 3 ".*model.json is neither PNG, binary PGM" "$model" "$model/model.json"
declines 3 "cannot open .*/absent.png: No such file" "$model" "$images" "$scratch/absent.png"
printf 'P5 3 2 255 123456' >"$case_dir/small.pgm"
declines 2 ".*/small.pgm: it has 3 x 2 = 6 pixels, the model takes 144" "$model" "$images" "$case_dir/small.pgm"
"$launcher" predict "$model" "$images" >/dev/full 2>"$case_dir/err" && fail "a full disk is not noticed"
says err "cannot write to standard output"
finish
