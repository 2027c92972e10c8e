#!/bin/bash
# Real daemons that compute with --device cuda, on the stand-in for CUDA: bits, precisions, and what goes wrong.
#
# Usage: cuda.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
worker=$build/tests/gpu/penstock-worker-cuda
unset CUDA_VISIBLE_DEVICES

# Of 1130 rows the last step of an epoch has 30 for worker 1 of 3 and none for worker 2.
make_data "$scratch/data" 1130 50
steps=$(scaled 20)
((steps >= 9)) || steps=9 # past the end of the first epoch
common=(--data-folder "$scratch/data" --evaluate-every 0 --steps "$steps" --hidden "20,10" --device cuda)

begin "the same bits on any number of ps and devices, whatever runs first there, and in a worker alone"
train one 1 3 "${common[@]}" --clip-norm 0.5
expect_log worker-0 "computing on cuda:0 of "
expect_log worker-0 "steps of 50 rows are launched as a graph"
CUDA_HOST_SEED=7 CUDA_HOST_DEVICES=2 train two 2 3 "${common[@]}" --slice-kib 4 --clip-norm 0.5
expect_log worker-1 "computing on cuda:1 of 2"
expect_log worker-2 "computing on cuda:0 of 2"
same_model one two
train cluster 1 1 "${common[@]}"
run_program worker 0 "$worker" --output-dir "$case_dir/outputs" "${common[@]}"
keep_model embedded
same_model cluster embedded
train unclipped 1 3 "${common[@]}"
different_model one unclipped
cp "$case_dir/unclipped.safetensors" "$scratch/"

begin "each precision has bits of its own"
for precision in fp32 tf32 bf16; do
    train "$precision" 1 1 "${common[@]}" --precision "$precision"
    expect_log worker-0 ", in $precision"
done
different_model fp32 tf32
different_model fp32 bf16

# mixed NAME   one worker on the processor and one on CUDA, which both take part in every update.
mixed() {
    local cluster
    cluster=$(dense 2 2)
    start_cluster "$cluster" 2 0
    start_task worker-0 "$(task "$cluster" worker 0)" "$build/worker/penstock-worker" \
        --output-dir "$case_dir/outputs" "${common[@]}" --device cpu
    start_task worker-1 "$(task "$cluster" worker 1)" "$worker" "${common[@]}"
    await_all
    expect_log worker-0 "computing on cpu"
    expect_log worker-1 "computing on cuda:0"
    keep_model "$1"
}

begin "a worker on the processor and one on CUDA train one model, and the same one again"
mixed mixed
CUDA_HOST_SEED=5 mixed again
same_model mixed again

begin "devices are listed, those alone that CUDA_VISIBLE_DEVICES shows"
export CUDA_HOST_DEVICES=4
run_program devices 0 "$worker" --list-devices
expect_log devices "cuda:3"
expect_log devices "CUDA: runtime "
CUDA_VISIBLE_DEVICES=3,1 run_program chosen 0 "$worker" --list-devices
expect_log chosen "PCI 0000:03:00"
expect_log chosen "cuda:1"
! log_says chosen "cuda:2" || fail "a device is listed that is hidden"
unset CUDA_HOST_DEVICES

begin "a device of a number that there is not is refused"
run_program worker 2 "$worker" "${common[@]}" --device cuda:999
expect_log worker "there is no device cuda:999; this process may use "

begin "without a device auto computes on the processor and says why, and cuda is refused"
export CUDA_HOST_FAIL=cudaGetDeviceCount:1:100
run_program auto 0 "$worker" --output-dir "$case_dir/outputs" "${common[@]}" --device auto
expect_log auto "computing on cpu: the CUDA driver shows no device"
run_program cuda 2 "$worker" "${common[@]}"
expect_log cuda "--device cuda: the CUDA driver shows no device"
unset CUDA_HOST_FAIL

begin "a batch too large for the device is refused, with one that fits"
run_program worker 1 "$worker" "${common[@]}" --batch-size 4000000
expect_log worker "no memory on 'cuda' for a batch of 4000000 rows: "
expect_log worker " rows would fit"

begin "memory that cannot be locked is a warning"
export CUDA_HOST_FAIL=cudaHostRegister:1:1 CUDA_HOST_PAGEABLE=1
run_program worker 0 "$worker" --output-dir "$case_dir/outputs" "${common[@]}"
expect_log worker "copies to and from the device will be slow, for memory cannot be locked: cuda:0: "
unset CUDA_HOST_FAIL CUDA_HOST_PAGEABLE

# Of a lost device nothing can be given back, which is no leak.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

begin "a lost device ends the worker with a code that is worth a retry, and a line that says where"
export CUDA_HOST_FAIL=cudaEventSynchronize:12:719
run_program worker 138 "$worker" --output-dir "$case_dir/outputs" "${common[@]}"
expect_log worker "cuda:0: cudaErrorLaunchFailure: "
expect_log worker "likely cause: the device was lost or reset (dmesg, Xid) [cudaEventSynchronize("
expect_log worker "backend_cuda_queues.cu:"
unset CUDA_HOST_FAIL

# Each life of a worker loses its device after some steps; the next goes on from there.
begin "started again, workers that lose their devices end with the same bits"
mkdir "$case_dir/bin"
cp "$ps" "$case_dir/bin/"
ln -s "$worker" "$case_dir/bin/penstock-worker"
CUDA_HOST_FAIL=cudaGraphLaunch:6:719 run_program launcher 0 "$launcher" run --run-dir "$case_dir/run" \
    --bin-dir "$case_dir/bin" --ps 1 --workers 3 --restarts 20 --checkpoint-steps 1000 -- "${common[@]}"
expect_log launcher "138"
mkdir "$case_dir/outputs"
mv "$case_dir/run/outputs/model" "$case_dir/outputs/"
keep_model restarted
cp "$scratch/unclipped.safetensors" "$case_dir/"
same_model restarted unclipped

finish
