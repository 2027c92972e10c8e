#!/bin/bash
# The batch script for Slurm, under stand-ins for srun and scontrol, trains to the bits of a cluster by hand, with or without
# scontrol; a task that fails ends all, and one that is killed may have all started again. Nodes are addresses of loopback.
#
# Usage: slurm.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

here=$(realpath "$(dirname "$0")")
make_data "$scratch/data" 500
training=(--data-folder "$scratch/data" --steps 10)
mkdir "$scratch/bin" "$scratch/slurm" "$scratch/scontrol"
ln -s "$launcher" "$ps" "$worker" "$scratch/bin"
ln -s "$here/fake-srun" "$scratch/slurm/srun"
# `scontrol show hostnames LIST`, of a list that it alone understands.
# shellcheck disable=SC2016 # for the script
printf '%s\n' '#!/bin/bash' '[ "$*" = "show hostnames the nodes" ] && printf "127.0.0.%s\n" 2 3' >"$scratch/scontrol/scontrol"
chmod +x "$scratch/scontrol/scontrol"

# What sbatch does: a copy of the script runs on the first node, where SLURM_PROCID is 0, with what Slurm tells of the job.
batch() {
    local name=$1 path=$2 nodes=$3
    cp "$here/../../deploy/slurm/penstock.sbatch" "$case_dir/slurm_script"
    start "$name" env -C "$case_dir" PATH="$path:$PATH" FAKE_SLURM_DIR="$case_dir" PENSTOCK_BIN="$scratch/bin" \
        PENSTOCK_PORT="$("$tools/free_ports" 1)" SLURM_JOB_NODELIST="$nodes" SLURM_TASKS_PER_NODE="2(x2)" \
        SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_NODEID=0 TMPDIR="$case_dir" bash slurm_script "${@:4}"
}

leaves_nothing() {
    expect [ -z "$(find "$case_dir" -maxdepth 1 -name 'tmp.*')" ]
}

begin "a job trains to the bits of a cluster by hand, without scontrol"
train by-hand 2 2 "${training[@]}"
batch job "$scratch/slurm" "127.0.0.[2-3]" "${training[@]}" --output-dir outputs
await_end job 0
keep_model job
same_model by-hand job
expect [ "$(paste -sd' ' "$case_dir/ranks")" = "0 127.0.0.2 1 127.0.0.3 2 127.0.0.2 3 127.0.0.3" ]
leaves_nothing

begin "with scontrol its names are taken"
batch job "$scratch/slurm:$scratch/scontrol" "the nodes" "${training[@]}" --output-dir outputs
await_end job 0
expect [ -s "$case_dir/outputs/model/model.safetensors" ]

begin "PENSTOCK_PS says how many are ps, and options reach them whole"
export PENSTOCK_PS=1 PENSTOCK_PS_OPTIONS="--lease-secs 60 --checkpoint-dir checkpoints"
batch job "$scratch/slurm" "127.0.0.[2-3]" "${training[@]}" --output-dir "a folder"
await_end job 0
expect [ -s "$case_dir/a folder/model/model.safetensors" ]
expect [ -d "$case_dir/checkpoints" ]
expect_log job "3: "
unset PENSTOCK_PS PENSTOCK_PS_OPTIONS

begin "a task that fails ends the job with its code, and what would fail again is not started again"
export PENSTOCK_RESTARTS=1
batch job "$scratch/slurm" "127.0.0.[2-3]" --data-folder nowhere --steps 10
await_end job 3
expect_log job "in nowhere"
expect [ "$(wc -l <"$case_dir/ranks")" = 4 ]
leaves_nothing
unset PENSTOCK_RESTARTS

begin "a task that is killed has all started again as often as PENSTOCK_RESTARTS says"
long=(--data-folder "$scratch/data" --steps "$(scaled 500)")
train by-hand 2 2 "${long[@]}"
export PENSTOCK_PS_OPTIONS="--checkpoint-dir $case_dir/checkpoints --checkpoint-steps 10"
PENSTOCK_RESTARTS=1 batch job "$scratch/slurm" "127.0.0.[2-3]" "${long[@]}" --output-dir "$case_dir/outputs"
await_log job "checkpoint of step"
kill -KILL "$(pgrep -f -- "--task ps:1 --checkpoint-dir $case_dir/")"
await_end job 0
expect_log job "a task ended with 137; starting all again, 0 more restarts are left"
keep_model job
same_model by-hand job
leaves_nothing
unset PENSTOCK_PS_OPTIONS

begin "what is no job of Slurm is refused before anything starts"
batch job "$scratch/slurm" "" "${training[@]}"
await_end job 2
expect_log job "SLURM_JOB_NODELIST is not set: this is no job of Slurm"
export PENSTOCK_PS=4
batch job "$scratch/slurm" "127.0.0.[2-3]" "${training[@]}"
await_end job 2
expect_log job "4 of the job's 4 tasks are to be ps, and none is left to train"
unset PENSTOCK_PS
PENSTOCK_RESTARTS=often batch job "$scratch/slurm" "127.0.0.[2-3]" "${training[@]}"
await_end job 2
expect_log job "PENSTOCK_RESTARTS: 'often' is no number of restarts"

finish
