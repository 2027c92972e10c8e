#!/bin/bash
# The batch script for Slurm under Slurm: a controller and three nodes, each with a network and processes of its own, in a
# Debian made for the test. Jobs train to the bits of a run by hand, end as they should when they are cancelled or a task fails,
# and go on when a task is killed or a node dies.
#
# Usage: slurm_cluster.sh BUILD_FOLDER     exit code 77: it is not root, or Debian's tools are lacking, or namespaces
# shellcheck disable=SC2317 # conditions are called by await
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_root.sh
source "$(dirname "$0")/lib_root.sh"
# shellcheck source=tests/integration/lib_system.sh
source "$(dirname "$0")/lib_system.sh"

need_system
root=$scratch/root
home=$root/home/trainer
training=(--data-folder /srv/mnist --steps "$(scaled 1500)")

# ---- the cluster ------------------------------------------------------------------------------------

# A node has more processors than this host, so that two jobs fit on it; to requeue takes no two minutes.
configure_slurm() {
    cat >"$root/etc/slurm/slurm.conf" <<'CONF'
ClusterName=test
SlurmctldHost=control(10.77.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd-%n.log
SlurmdPidFile=/run/slurmd-%n.pid
SlurmctldPidFile=/run/slurmctld.pid
SlurmdSpoolDir=/var/spool/slurmd-%n
StateSaveLocation=/var/spool/slurmctld
NodeName=node[1-3] NodeAddr=10.77.0.[11-13] CPUs=8 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    echo CgroupPlugin=cgroup/v1 >"$root/etc/slurm/cgroup.conf" # and nothing is done with it
    printf '%s\n' '127.0.0.1 localhost' '10.77.0.1 control' '10.77.0.11 node1' '10.77.0.12 node2' '10.77.0.13 node3' \
        >"$root/etc/hosts"
    echo control >"$root/etc/hostname"
    mkdir "$root/var/spool/slurmctld" "$root"/var/tmp/node{1,2,3}
    chmod 1777 "$root"/var/tmp/node?
    # PID 1: the host of the controller, with a bridge to the nodes. What it is told to start are nodes.
    cat >"$root/control" <<'CONTROL'
set -eu
ip link set lo up
ip link add bridge type bridge
ip address add 10.77.0.1/24 dev bridge
ip link set bridge up
install --directory --owner munge --group munge /run/munge
setpriv --reuid munge --regid munge --clear-groups munged
slurmctld
for i in 1 2 3; do
    ip netns add node$i
    ip link add to-node$i type veth peer name eth0 netns node$i
    ip link set to-node$i master bridge up
    ip -n node$i link set lo up
    ip -n node$i address add 10.77.0.1$i/24 dev eth0
    ip -n node$i link set eth0 up
    # Its processes end with the first of them, as those of a host that loses power.
    unshare --fork --kill-child --mount-proc --pid --uts --ipc nsenter --net=/run/netns/node$i bash -c "
        mount -t tmpfs tmpfs /dev/shm
        mount --bind /var/tmp/node$i /tmp
        hostname node$i
        slurmd -D -N node$i &
        wait" &
    echo $! >/run/node$i
done
while :; do wait -n || sleep 1; done
CONTROL
}

# nodes_are STATE...   each one's; that it does not answer (*) or not yet is another matter.
nodes_are() {
    [ "$(enter sinfo --noheader --Node --format %T 2>/dev/null | tr -d '*' | paste -sd' ')" = "$*" ]
}

all_are_idle() {
    nodes_are idle idle idle
}

# ---- jobs -------------------------------------------------------------------------------------------

as_trainer() {
    enter setpriv --reuid trainer --regid trainer --init-groups \
        env -C /home/trainer HOME=/home/trainer USER=trainer "$@"
}

# submit NAME [SBATCH OPTION...] -- TRAINING OPTION...   sets `job` to its number; the log is $case_dir/NAME.log.
submit() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    job=$(as_trainer env PENSTOCK_RESTARTS="${restarts:-0}" \
        PENSTOCK_PS_OPTIONS="--insecure --checkpoint-dir $name/checkpoints --checkpoint-steps 20 ${patience:-}" \
        sbatch --parsable --output="/home/trainer/$name.log" "${options[@]}" \
        /usr/share/penstock/slurm/penstock.sbatch --output-dir "/home/trainer/$name" "$@") || fail "sbatch: $name"
    ln -sf "$home/$name.log" "$case_dir/$name.log"
}

# job_value NUMBER NAME   what `scontrol show job` says.
job_value() {
    enter scontrol --oneliner show job "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"
}

job_has_ended() {
    [[ $(job_value "$1" JobState) =~ ^(COMPLETED|FAILED|CANCELLED|NODE_FAIL|TIMEOUT|BOOT_FAIL)$ ]]
}

# ends NAME NUMBER STATE CODE   the job ends so, and leaves nothing.
ends() {
    await job_has_ended "$2"
    [ "$(job_value "$2" JobState) $(job_value "$2" ExitCode)" = "$3 $4" ] ||
        fail_log "$1" "$1 is $(job_value "$2" JobState) with $(job_value "$2" ExitCode), not $3 with $4"
    await nothing_is_left
}

nothing_is_left() {
    all_are_idle && [ -z "$(find "$root"/var/tmp/node? -mindepth 1)" ] &&
        ! enter sh -c 'cat /proc/[0-9]*/comm' 2>/dev/null | grep -q '^penstock'
}

await_text() {
    await log_says "$1" "$2" || fail_log "$1" "$1 does not say '$2'"
}

# The process of a task, as the host counts.
process_of() {
    local pid
    for pid in $(pgrep -f -- "^[^ ]*penstock-[a-z]+ .*--task $1 "); do
        [ ! "/proc/$pid/root" -ef "$root" ] || echo "$pid"
    done
}

model_is_by_hand() {
    cmp "$root/srv/by-hand/outputs/model/model.safetensors" "$home/$1/model/model.safetensors" || fail "the models differ"
}

# ---- cases ------------------------------------------------------------------------------------------

begin "Slurm's daemons come up"
make_packages
make_root "$root"
install_into "$root" slurmctld slurmd slurm-client munge iproute2 "./$(basename "$scratch"/packages/penstock_*.deb)"
make_data "$root/srv/mnist" 500
run_program user 0 chroot "$root" useradd --create-home trainer
configure_slurm
start_system "$root" bash /control
await all_are_idle || {
    tail -n 5 "$scratch/system.log" "$root"/var/log/slurm*.log
    finish
}

begin "a job trains to the bits of a run by hand, and two on the same nodes do not meet"
run_program by-hand 0 enter penstock run --ps 2 --workers 4 --run-dir /srv/by-hand --quiet -- "${training[@]}"
submit first -- "${training[@]}"
first=$job
# By keys, and with no other variable of who submits it.
run_program keygen 0 as_trainer penstock keygen keys
submit second --nodelist=node1,node2 --export=PENSTOCK_CURVE_KEYS=/home/trainer/keys -- "${training[@]}"
ends first "$first" COMPLETED 0:0
ends second "$job" COMPLETED 0:0
for name in first second; do
    model_is_by_hand $name
    # All of both nodes', and none of them failed.
    for rank in 0 1 2 3 4 5; do
        expect_log $name "$rank: "
    done
    ! log_says $name "srun: error" || fail_log $name "a task failed"
done
! log_says second "without keys" || fail "keys were not taken"

begin "cancelled, its ps keep a checkpoint, and the next job goes on from there"
submit cancelled --cpus-per-task=2 -- "${training[@]}"
await_text cancelled "checkpoint of step"
# Six tasks have two processors each.
expect [ "$(enter scontrol --oneliner show step "$job.0" | tr ' ' '\n' | sed -n 's/^CPUs=//p')" = 12 ]
enter scancel "$job"
ends cancelled "$job" CANCELLED 0:15
expect_log cancelled "winding up at step"
expect [ ! -e "$home/cancelled/model/model.safetensors" ]
submit cancelled -- "${training[@]}"
ends cancelled "$job" COMPLETED 0:0
model_is_by_hand cancelled

begin "a task that fails ends the job with its exit code"
restarts=1 submit wrong -- --data-folder /nowhere --steps 10
ends wrong "$job" FAILED 3:0
expect_log wrong "in /nowhere"
! log_says wrong "starting all again" || fail "what would fail again is started again"

begin "a task that is killed ends the job"
submit killed -- "${training[@]}"
await_text killed "checkpoint of step"
kill -KILL "$(process_of worker:1)"
ends killed "$job" FAILED 137:0

begin "or has all started again within the job, and the bits are the same"
restarts=1 submit restarted -- "${training[@]}"
await_text restarted "checkpoint of step"
kill -KILL "$(process_of ps:1)"
ends restarted "$job" COMPLETED 0:0
expect_log restarted "a task ended with 137; starting all again, 0 more restarts are left"
model_is_by_hand restarted

begin "when a node dies, Slurm starts the job again on others, and the bits are the same"
# A ps that is told to end then waits in vain for the step to complete.
patience="--stop-secs 1" submit requeued -- "${training[@]}"
await_text requeued "checkpoint of step"
expect [ "$(job_value "$job" BatchHost)" = node1 ]
# shellcheck disable=SC2016 # for the shell in there
enter sh -c 'kill -KILL "$(cat /run/node1)"'
# What the controller finds out by itself after SlurmdTimeout, which is 300 s.
enter scontrol update NodeName=node1 State=DOWN Reason=dead
all_are_idle() {
    nodes_are down idle idle
}
rm -rf "$root"/var/tmp/node1/* # what a host has that dies
ends requeued "$job" COMPLETED 0:0
expect [ "$(job_value "$job" Restarts) $(job_value "$job" NodeList)" = "1 node[2-3]" ]
model_is_by_hand requeued
finish
