#!/bin/bash
# `penstock predict`: a model that was really trained knows its images; what is wrong is refused by name.
#
# Usage: predict.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

# predict CODE ARGUMENT...   runs to its end, which is to be CODE; output in out and err.
predict() {
    local wanted=$1 code
    shift
    "$launcher" predict "$@" >"$case_dir/out" 2>"$case_dir/err"
    code=$?
    [ "$code" = "$wanted" ] || fail "predict $*: exit code $code instead of $wanted: $(cat "$case_dir/err")"
}

says() {
    grep -qE -- "$2" "$case_dir/$1" || {
        fail "$1 does not say '$2'"
        head -n 20 "$case_dir/$1" | sed 's/^/    /'
    }
}

# refuses CODE MESSAGE ARGUMENT...
refuses() {
    local code=$1 message=$2
    shift 2
    predict "$code" "$@"
    says err "^penstock predict: $message"
    [ ! -s "$case_dir/out" ] || fail "predict $*: prints something"
}

make_data "$scratch/data" 600 100 12
images=$scratch/data/t10k-images-idx3-ubyte
labels=$scratch/data/t10k-labels-idx1-ubyte
begin "a model is trained"
run_program training 0 "$worker" --data-folder "$scratch/data" --hidden 20,10 --epochs 10 --batch-size 20 \
    --learning-rate 0.1 --output-dir "$scratch/outputs"
model=$scratch/outputs/model

begin "it knows the images of an IDX file"
predict 0 --top 1 "$model" "$images"
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
predict 0 --json --logits --rows 0-2 "$model" "$images" "$case_dir/first.pgm"
says out '^\{"schema": "penstock-predict/1", "model": ".*/outputs/model", "predictions": \[$'
[ "$(grep -c '"row": ' "$case_dir/out")" = 4 ] || fail "there are not 3 rows and an image"
# The same image gives the same numbers, from whatever file.
[ "$(grep -E '"row": 0,' "$case_dir/out" | sed 's/^.*"row"/"row"/; s/,$//' | sort -u | wc -l)" = 1 ] ||
    fail "an image says something else as PGM"
says out '"top": \[\{"class": [0-9], "probability": [0-9.e-]+\}(, \{[^}]*\}){2}\], "logits": \[[-0-9.e, ]+\]\}'
predict 0 --invert --top 99 "$model" "$case_dir/first.pgm"
[ "$(grep -o '%' "$case_dir/out" | wc -l)" = 10 ] || fail "--top 99 does not say all 10 classes"
predict 0 --rows 7 "$model" "$images"
[ "$(wc -l <"$case_dir/out")" = 1 ] || fail "--rows 7 is not one row"

begin "usage"
refuses 2 "the model is missing: a folder such as outputs/model"
refuses 2 "the images are missing: PNG, PGM or IDX files" "$model"
refuses 2 "--logits needs --json" --logits "$model" "$images"
refuses 2 "--top: '0' is not a whole number from 1 to 1048576" --top 0 "$model" "$images"
refuses 2 "--rows: '1' is not a whole number from 2 to 4294967295" --rows 2-1 "$model" "$images"
refuses 2 "--rows: .*t10k-images-idx3-ubyte has rows 0 to 99" --rows 0-100 "$model" "$images"
predict 0 --help
says out "MODEL IMAGE"
says out "Exit status: 0; 2 usage"

begin "models and images that are no good"
refuses 3 "cannot open .*/absent/model.json: No such file" "$scratch/absent" "$images"
cp -r "$model" "$case_dir/model"
truncate -s -1 "$case_dir/model/model.safetensors"
refuses 3 ".*/model/model.safetensors: tensor 'output/bias': data_offsets .* are not within" "$case_dir/model" "$images"
refuses 3 ".*model.json is neither PNG, binary PGM" "$model" "$model/model.json"
refuses 3 "cannot open .*/absent.png: No such file" "$model" "$images" "$scratch/absent.png"
printf 'P5 3 2 255 123456' >"$case_dir/small.pgm"
refuses 2 ".*/small.pgm: it has 3 x 2 = 6 pixels, the model takes 144" "$model" "$images" "$case_dir/small.pgm"
"$launcher" predict "$model" "$images" >/dev/full 2>"$case_dir/err" && fail "a full disk is not noticed"
says err "cannot write to standard output"
finish
