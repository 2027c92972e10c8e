#!/bin/bash
# `penstock export`: every format of a model that was really trained, and what it refuses. A full disk leaves what was
# there.
#
# Usage: export.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_command.sh
source "$(dirname "$0")/lib_command.sh"

# declines CODE MESSAGE ARGUMENT...
declines() {
    refuses "$1" "^penstock export: $2" export "${@:3}"
}

make_data "$scratch/data" 200 100 12
begin "a model is trained"
run_program training 0 "$worker" --data-folder "$scratch/data" --hidden 20 --epochs 1 --batch-size 20 \
    --output-dir "$scratch/outputs"
model=$scratch/outputs/model

begin "each format has its default name, and says how much it is"
for format in onnx safetensors npz csv; do
    penstock_is 0 export --format "$format" "$model"
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
declines 2 "the model is missing: a folder such as outputs/model"
declines 2 "--format is missing: onnx, safetensors, npz or csv" "$model"
declines 2 "--format: 'h5' is none of onnx, safetensors, npz, csv" -f h5 "$model"
declines 2 "'x' is one argument too many" -f csv "$model" x
declines 2 "--output: the name is empty" -f csv -o "" "$model"
declines 3 "cannot open absent/model.json: No such file" -f csv absent
declines 1 "cannot open the folder of absent/x: No such file" -f csv -o absent/x "$model"
penstock_is 0 export --help
says out "operator set 13"
finish
