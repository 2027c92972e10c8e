#!/bin/bash
# Exported models in a real runtime: ONNX Runtime computes the same logits, within 1e-4, of 1,000 images of MNIST and for
# every activation. The runtime (npm, some 290 MB) is fetched once and kept beside MNIST; none of its scripts runs.
#
# Usage: onnx.sh BUILD_FOLDER     exit code 77: there is no npm here
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_npm.sh
source "$(dirname "$0")/lib_npm.sh"

package=onnxruntime-node@1.30.0
here=$(realpath "$(dirname "$0")")

# same_logits DATA ROWS TRAINING_OPTION...
same_logits() {
    local images=$1/t10k-images-idx3-ubyte rows=$2
    run_program training 0 "$worker" --data-folder "$1" --output-dir "$case_dir/outputs" "${@:3}"
    run_program export 0 "$launcher" export -f onnx -o "$case_dir/model.onnx" "$case_dir/outputs/model"
    "$launcher" predict --json --logits --rows "0-$((rows - 1))" "$case_dir/outputs/model" "$images" \
        >"$case_dir/predictions.json" || fail "predict fails"
    node "$here/onnx_logits.js" "$npm_modules/onnxruntime-node" "$case_dir/model.onnx" "$images" \
        "$case_dir/predictions.json" "$rows" || fail "the logits differ"
}

npm_fetch "$package" "$package"

begin "1,000 images of MNIST"
same_logits "${PENSTOCK_MNIST:?the folder of MNIST}" 1000 --optimizer momentum --learning-rate 0.03 --batch-size 150 \
    --epochs 1

make_data "$scratch/data" 600 50 12
for activation in relu tanh sigmoid elu; do
    begin "$activation"
    same_logits "$scratch/data" 50 --activation "$activation" --hidden 30,20,10 --epochs 5 --learning-rate 0.1
done
begin "no hidden layer"
same_logits "$scratch/data" 50 --hidden 0 --epochs 5 --learning-rate 0.1
finish
