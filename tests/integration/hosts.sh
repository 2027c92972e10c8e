#!/bin/bash
# `penstock hosts`: what it says is to be typed on hosts trains there, and so does what it starts by a stand-in for ssh,
# whose every end leaves nothing behind. Hosts are addresses of loopback.
#
# Usage: hosts.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
# shellcheck disable=SC2317 # functions that are called by await
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_command.sh
source "$(dirname "$0")/lib_command.sh"

here=$(realpath "$(dirname "$0")")
make_data "$scratch/data" 500
mkdir "$scratch/bin" "$scratch/fake"
ln -s "$ps" "$worker" "$scratch/bin"
ln -s "$here/fake-daemon" "$scratch/fake/penstock-ps"
ln -s "$here/fake-daemon" "$scratch/fake/penstock-worker"
mkdir "$scratch/fake-state"
port=$("$tools/free_ports" 1)
# A name at which a shell stumbles.
outputs="it's \$HOME \"and\" more"
training=(--data-folder "$scratch/data" --steps 10 --output-dir "$outputs")

write_hosts() {
    printf '%s\n' "# two hosts" "127.0.0.2 worker=1  # a comment" "" "127.0.0.3 ps=1" >"$case_dir/nodes"
}

# Every process of a case has its folder in the environment, wherever it went.
nobody_left() {
    ! grep -lszF "FAKE_SSH_DIR=$case_dir" /proc/[0-9]*/environ >/dev/null
}

# by_ssh BIN OPTION...   in the background, as `hosts`.
by_ssh() {
    write_hosts
    start hosts env -C "$case_dir" "FAKE_SSH_DIR=$case_dir" "FAKE_DIR=$case_dir" "$launcher" hosts nodes --ps 2 --port "$port" \
        --bin-dir "$1" --chdir "$case_dir" --ssh="$here/fake-ssh -o Some=thing" "${@:2}"
}

begin "what is printed, typed on each host, trains to the bits of a cluster by hand"
train by-hand 2 2 "${training[@]:0:4}"
write_hosts
penstock_is 0 hosts nodes --ps 2 --port "$port" --bin-dir "$scratch/bin" --chdir "$case_dir" --ps-option --lease-secs \
    --ps-option 60 -- "${training[@]}"
expect [ "$(grep '^#' "$case_dir/out" | paste -sd' ')" = "# 127.0.0.2 # 127.0.0.3" ]
expect [ "$(grep -vc '^#' "$case_dir/out")" = 4 ]
i=0
while read -r line; do
    [ "${line:0:1}" = "#" ] || start "typed-$((i++))" sh -c "$line"
done <"$case_dir/out"
await_all
mv "$case_dir/$outputs/model/model.safetensors" "$case_dir/typed.safetensors"
same_model by-hand typed

begin "the cluster alone is what --cluster takes, and tasks are a line each"
write_hosts
penstock_is 0 hosts nodes --ps 2 --print cluster
expect [ "$(cat "$case_dir/out")" = '{"ps": ["127.0.0.2:2222", "127.0.0.3:2222"], "worker": ["127.0.0.2:2223", "127.0.0.3:2223"]}' ]
run_program check 0 "$ps" --cluster "$case_dir/out" --task ps:1 --check-config
penstock_is 0 hosts nodes --ps 3 --print tasks
expect [ "$(paste -sd' ' "$case_dir/out")" = "ps:0 127.0.0.2 ps:1 127.0.0.2 ps:2 127.0.0.3 worker:0 127.0.0.2 worker:1 127.0.0.3" ]

begin "started by ssh it trains, and says what the tasks say behind host and task"
by_ssh "$scratch/bin" -- "${training[@]}"
await_end hosts 0
expect grep -qE "^127\.0\.0\.3 ps-1: .*updates of" "$case_dir/hosts.log"
expect grep -qE "^127\.0\.0\.2 worker-0: " "$case_dir/hosts.log"
expect [ "$(sort "$case_dir/hosts" | paste -sd' ')" = "127.0.0.2 127.0.0.2 127.0.0.3 127.0.0.3" ]
expect [ -s "$case_dir/$outputs/model/model.safetensors" ]
await nobody_left

begin "what fails is named with its host, ends the others, and its exit code is ours"
echo fail 3 1 >"$case_dir/worker-1.mode"
for task in ps-0 ps-1 worker-0; do echo wait_for_signal >"$case_dir/$task.mode"; done
by_ssh "$scratch/fake"
await_end hosts 3
expect_log hosts "worker-1 on 127.0.0.3 failed with exit code 3"
expect_log hosts "127.0.0.3 worker-1: line 1 of worker-1"
await nobody_left

begin "a host that cannot be reached ends the run, with ssh's code"
touch "$case_dir/unreachable-127.0.0.3"
for task in ps-0 worker-0; do echo wait_for_signal >"$case_dir/$task.mode"; done
by_ssh "$scratch/fake"
await_end hosts 255
expect_log hosts "127.0.0.3 ps-1: ssh: connect to host 127.0.0.3"
expect_log hosts "which is that of an ssh that cannot connect or log in"
await nobody_left

tasks_wait() {
    local task
    for task in ps-0 ps-1 worker-0 worker-1; do [ -s "$case_dir/$task.pid" ] || return 1; done
}

for signal in TERM INT HUP; do
    begin "SIG$signal ends every task on its host by SIGTERM, and the exit code tells of it"
    for task in ps-0 ps-1 worker-0 worker-1; do echo wait_for_signal >"$case_dir/$task.mode"; done
    by_ssh "$scratch/fake"
    await tasks_wait
    kill -"$signal" "${pids[hosts]}"
    await_end hosts $((128 + $(kill -l "$signal")))
    for task in ps-0 ps-1 worker-0 worker-1; do expect [ "$(cat "$case_dir/$task.heard")" = TERM ]; done
    await nobody_left
done

begin "what does not end within the grace time is killed on its host"
for task in ps-0 ps-1 worker-0 worker-1; do echo deaf >"$case_dir/$task.mode"; done
by_ssh "$scratch/fake" --grace 1
await tasks_wait
kill -TERM "${pids[hosts]}"
await_end hosts 143
await nobody_left

begin "kill -9 of the launcher, or of one ssh, ends the tasks on the hosts"
for task in ps-0 ps-1 worker-0 worker-1; do echo wait_for_signal >"$case_dir/$task.mode"; done
by_ssh "$scratch/fake"
await tasks_wait
kill -KILL "${pids[hosts]}"
await_end hosts 137
await nobody_left
expect [ "$(cat "$case_dir/worker-1.heard")" = TERM ]
rm -f "$case_dir"/*.pid "$case_dir"/*.heard "$case_dir/processes"
by_ssh "$scratch/fake"
await tasks_wait
kill -KILL "$(sed -n 's/ 127.0.0.3$//p' "$case_dir/processes" | head -n 1)"
await_end hosts 137
await nobody_left
for task in ps-0 ps-1 worker-0 worker-1; do expect [ "$(cat "$case_dir/$task.heard")" = TERM ]; done

begin "with --restarts what is worth a retry is started again"
echo dies 1 KILL >"$case_dir/worker-1.mode"
for task in ps-0 ps-1 worker-0; do echo follows_lives worker-1 2 >"$case_dir/$task.mode"; done
by_ssh "$scratch/fake" --restarts 1
await_end hosts 0
expect_log hosts "worker-1 on 127.0.0.3 ended with exit code 137; starting it again in 0.1 s (1 of 1 restarts)"
await nobody_left

begin "of a Slurm job the nodes and tasks are taken"
slurm() {
    SLURM_JOB_NODELIST=$1 SLURM_TASKS_PER_NODE=$2 penstock_is 0 hosts --slurm "${@:3}"
}
slurm 'node[01-03,7],gpu5' '2(x3),1,4' --print tasks
expect [ "$(cut -d' ' -f2 "$case_dir/out" | paste -sd' ')" = "node01 node02 node03 gpu5 node01 node02 node03 node7 gpu5 gpu5 gpu5" ]
slurm node-1 3 --ps 2 --print cluster
expect [ "$(cat "$case_dir/out")" = '{"ps": ["node-1:2222", "node-1:2223"], "worker": ["node-1:2224"]}' ]
(unset SLURM_JOB_NODELIST && refuses 2 "SLURM_JOB_NODELIST is not set: this is no job of Slurm" hosts --slurm)

begin "mistakes are refused with file, line and reason"
refuses 2 "HOSTFILE is missing" hosts
refuses 2 "nowhere" hosts nowhere
echo "node-1 cpus=4" >"$case_dir/nodes"
refuses 2 'nodes: line 1: "cpus=..." is none of slots=N, ps=N and worker=N' hosts nodes
echo "node-1" >"$case_dir/nodes"
refuses 2 "2 workers, but these hosts have room for 1; give them slots=N" hosts nodes --workers 2
refuses 2 "host node-1 has no ports above it for 2 tasks" hosts nodes --port 65535
refuses 2 "no program no-such-ssh in PATH" hosts nodes --ssh=no-such-ssh
refuses 2 "--ssh has an empty command" hosts nodes "--ssh= "
refuses 2 "--print only prints, and --ssh starts" hosts nodes --ssh --print tasks
refuses 2 "--print 'all' is none of: commands, cluster, tasks" hosts nodes --print all
refuses 2 "--restarts needs --ssh" hosts nodes --restarts 1
refuses 2 "--ps-option=--linger: a ps that stays" hosts nodes --ssh --ps-option=--linger
run_program typed 0 "$launcher" hosts "$case_dir/nodes" --ps-option=--linger # whoever types it also ends it
expect_log typed "--linger"
refuses 2 "both name hosts" hosts nodes --slurm
refuses 2 "one HOSTFILE too many" hosts nodes more

finish
