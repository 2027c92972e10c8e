#!/bin/bash
# `penstock export`: every format of a model that was really trained, and what it refuses. A full disk leaves what was
# there.
#
# Usage: export.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

# export_model CODE ARGUMENT...   runs to its end, which is to be CODE; output in out and err.
export_model() {
    local wanted=$1 code
    shift
    (cd "$case_dir" && exec "$launcher" export "$@") >"$case_dir/out" 2>"$case_dir/err"
    code=$?
    [ "$code" = "$wanted" ] || fail "export $*: exit code $code instead of $wanted: $(cat "$case_dir/err")"
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
    export_model "$code" "$@"
    says err "^penstock export: $message"
    [ ! -s "$case_dir/out" ] || fail "export $*: prints something"
}

make_data "$scratch/data" 200 100 12
begin "a model is trained"
run_program training 0 "$worker" --data-folder "$scratch/data" --hidden 20 --epochs 1 --batch-size 20 \
    --output-dir "$scratch/outputs"
model=$scratch/outputs/model

begin "each format has its default name, and says how much it is"
for format in onnx safetensors npz csv; do
    export_model 0 --format "$format" "$model"
    says out "^model.$format: 3110 parameters, $(stat -c %s "$case_dir/model.$format") bytes$"
done
cmp "$case_dir/model.safetensors" "$model/model.safetensors" || fail "safetensors are not those of the training"
[ "$(wc -l <"$case_dir/model.csv")" = 3111 ] || fail "the csv has not a line per parameter"

begin "a full disk leaves the old file, and nothing else"
echo old >"$case_dir/model.onnx"
(ulimit -f 4 && trap '' XFSZ && cd "$case_dir" && exec "$launcher" export -f onnx "$model") >"$case_dir/out" 2>"$case_dir/err"
[ $? = 1 ] || fail "no exit code 1"
says err "^penstock export: cannot write model.onnx: File too large$"
[ "$(cat "$case_dir/model.onnx")" = old ] || fail "the old file is gone"
[ "$(find "$case_dir" -type f | wc -l)" = 3 ] || fail "something is left: $(ls -A "$case_dir")"

begin "usage"
refuses 2 "the model is missing: a folder such as outputs/model"
refuses 2 "--format is missing: onnx, safetensors, npz or csv" "$model"
refuses 2 "--format: 'h5' is none of onnx, safetensors, npz, csv" -f h5 "$model"
refuses 2 "'x' is one argument too many" -f csv "$model" x
refuses 2 "--output: the name is empty" -f csv -o "" "$model"
refuses 3 "cannot open absent/model.json: No such file" -f csv absent
refuses 1 "cannot open the folder of absent/x: No such file" -f csv -o absent/x "$model"
export_model 0 --help
says out "operator set 13"
finish
