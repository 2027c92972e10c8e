#!/bin/bash
# The whole story, on MNIST: point at data, submit the experiment with the parameters of the article that this began with
# (2 ps, 3 workers, 784-300-100-10, batches of 50, learning rate 0.01), follow it, look at phases and metrics, register the
# model twice, list, compare, download (checked by hash), export to ONNX. Shorter than the article's 20 epochs; that the
# exported model computes the same in ONNX Runtime is integration.onnx's.
#
# Usage: story.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_registry.sh
source "$(dirname "$0")/lib_registry.sh"
export PENSTOCK_HOME

# describe STEPS RATE   the job.
describe() {
    cat >"$case_dir/job.json" <<JOB
{"schema": "penstock-job/1", "experiment": "tf-dnn-mnist", "target": "local",
 "data": "${PENSTOCK_MNIST:?the folder of MNIST}",
 "ps": 2, "workers": 3,
 "options": {"batch-size": 50, "learning-rate": $2, "first-layer-neurons": 300, "second-layer-neurons": 100,
             "steps": $1},
 "environment": {"OPENBLAS_NUM_THREADS": "1"}}
JOB
}

# submit_and_follow   leaves the id in $run.
submit_and_follow() {
    penstock_is 0 submit --wait --show-output job.json
    run=$(sed -nE 's/^submitted ([^;]*);.*/\1/p' "$case_dir/out")
    says out "^$run is Completed$"
}

begin "the article's experiment is submitted and followed"
PENSTOCK_HOME=$case_dir/home
steps=$(scaled 150)
describe "$steps" 0.01
submit_and_follow
first=$run
says out "^launcher +\| processes started: 5; "
says out "^ps-1 +\| .* worker 2 joined$"
says out "^worker-0 +\| "

echo "its phases and metrics"
penstock_is 0 runs show "$first"
says out "^options +.* --batch-size=50 --learning-rate=0.01 --first-layer-neurons=300 --second-layer-neurons=100 "
for phase in Preparing Running Finalizing Completed; do says out "^  $phase  +20[0-9T:Z-]+ +[+][0-9.]+ s$"; done
says out "^data +[0-9a-f]{64}$"
says out "^  worker-0 +[0-9.]+ +$steps +0\.[0-9]{4} "
penstock_is 0 runs show --json "$first"
says out '"event": "step", "step": [0-9]+, "epoch": [0-9.e-]+, "loss": [0-9.]+, "images_per_s": [0-9.]+'

echo "it is registered as version 1; another run, at another rate, as version 2"
penstock_is 0 models register --name tf-dnn-mnist --path "runs/$first/outputs/model" --run "$first" --tag stage=test
says out "^registered tf-dnn-mnist version 1$"
describe "$steps" 0.05
submit_and_follow
second=$run
penstock_is 0 models register --name tf-dnn-mnist --path "runs/$second/outputs/model" --run "$second"
says out "^registered tf-dnn-mnist version 2$"
penstock_is 0 models list
says out "^tf-dnn-mnist +1 .* 2 +[0-9]+  $first  stage=test$"
says out "^tf-dnn-mnist +2 .* 2 +[0-9]+  $second  *$"
penstock_is 0 models show tf-dnn-mnist:1
says out "^  options +.*--learning-rate=0.01 "
says out "^  accuracy +0\.[0-9]+$"

echo "they are compared"
penstock_is 0 runs compare "$first" "$second"
says out "^--learning-rate +0.01 +0.05 *$"
says out "^accuracy +0\.[0-9]+ +0\.[0-9]+ *$"
! grep -q -- "--batch-size" "$case_dir/out" || fail "what is the same is shown as a difference"

echo "version 1 is downloaded, checked, and exported"
penstock_is 0 models download tf-dnn-mnist:1 --to digits
diff -r "$case_dir/runs/$first/outputs/model" "$case_dir/digits" || fail "what was downloaded is not what was trained"
penstock_is 0 models show tf-dnn-mnist:1
for file in model.json model.safetensors; do
    says out "^  $(sha256sum <"$case_dir/digits/$file" | cut -d' ' -f1) +[0-9]+  $file$"
done
penstock_is 0 models verify
penstock_is 0 export --format onnx -o digits.onnx digits
says out "^digits.onnx: 266610 parameters, [0-9]+ bytes$"
penstock_is 0 predict --rows 0-9 digits "$PENSTOCK_MNIST/t10k-images-idx3-ubyte"
finish
