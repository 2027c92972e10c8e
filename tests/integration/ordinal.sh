#!/bin/bash
# --from-ordinal: the cluster without TF_CONFIG, as a StatefulSet and an Indexed Job give it, is the same cluster and
# trains to the same bits; and what is refused.
#
# Usage: ordinal.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

make_data "$scratch/data" 500
options=(--data-folder "$scratch/data" --steps 10)

# {} stands in the host: all of 127.0.0.0/8 are this one.
port=$("$tools/free_ports" 1)
pattern="ps=2@127.0.0.1{}:$port,worker=2"
cluster="{\"ps\": [\"127.0.0.10:$port\", \"127.0.0.11:$port\"], \"worker\": [\"worker-0:2222\", \"worker-1:2222\"]}"

# as_pod NAME TYPE INDEX PROGRAM...   a task that knows its name and the pattern alone.
as_pod() {
    start "$1" env "PENSTOCK_FROM_ORDINAL=$pattern" "POD_NAME=trainer-$2-$3" HOSTNAME=elsewhere "${@:4}"
}

begin "it is the cluster that the equal TF_CONFIG gives"
for type in ps worker; do
    for index in 0 1; do
        run_program by-hand 0 env "TF_CONFIG=$(task "$cluster" "$type" "$index")" "${!type}" --check-config
        run_program option 0 env "HOSTNAME=a-$index.example" "${!type}" --from-ordinal "$pattern" --check-config
        run_program variable 0 env "PENSTOCK_FROM_ORDINAL=$pattern" "JOB_COMPLETION_INDEX=$index" \
            "${!type}" --check-config
        for name in option variable; do
            expect cmp "$case_dir/by-hand.log" "$case_dir/$name.log"
        done
    done
done

begin "--task says which task this is, whatever the host is called"
run_program chief 0 env HOSTNAME=nothing "$worker" --from-ordinal "$pattern,chief=1" --task chief:0 --check-config
expect_log chief "task     chief/0"
run_program evaluator 0 env HOSTNAME=nothing "$worker" --from-ordinal "$pattern" --task evaluator:0 --check-config
expect_log evaluator "task     evaluator/0"

begin "a cluster of pods and an Indexed Job trains to the bits of one by TF_CONFIG"
train by-hand 2 2 "${options[@]}"
for index in 0 1; do
    as_pod "ps-$index" ps "$index" "$ps" --bind-given
    start "worker-$index" env "PENSTOCK_FROM_ORDINAL=$pattern" "JOB_COMPLETION_INDEX=$index" "$worker" \
        "${options[@]}" --output-dir "$case_dir/outputs"
done
await_all
keep_model pods
same_model by-hand pods

begin "the launcher's own processes do not heed it"
run_program run 0 env "PENSTOCK_FROM_ORDINAL=$pattern" "$launcher" run --ps 1 --workers 1 --run-dir "$case_dir/run" -- \
    "${options[@]}"
run_program check 0 env "PENSTOCK_FROM_ORDINAL=$pattern" "$launcher" run --check -- "${options[@]}"

# refused NAME TEXT COMMAND...
refused() {
    run_program "$1" 2 "${@:3}"
    expect_log "$1" "$2"
}

begin "two that say the cluster are refused, and so is what says none"
refused both "TF_CONFIG and --from-ordinal (or PENSTOCK_FROM_ORDINAL) both say what the cluster is; take one of them away" \
    env "TF_CONFIG=$(task "$cluster" ps 0)" "$ps" --from-ordinal "$pattern"
refused variable "TF_CONFIG and --from-ordinal" env TF_CONFIG={} "PENSTOCK_FROM_ORDINAL=$pattern" "$worker"
refused option "--cluster and --from-ordinal" "$ps" --cluster "$cluster" --from-ordinal "$pattern"
refused empty "--from-ordinal is empty" env PENSTOCK_FROM_ORDINAL= "$ps"
refused no-index "the name of this host is \"node\"" env HOSTNAME=node.p-0 "$ps" --from-ordinal "$pattern"
refused beyond "POD_NAME is \"p-2\", which makes this worker 2; but --from-ordinal has worker 0 to 1" \
    env POD_NAME=p-2 "$worker" "--from-ordinal=$pattern"
refused no-ps "--from-ordinal: the cluster has no ps; worker 0 needs at least one" \
    env JOB_COMPLETION_INDEX=0 "$worker" --from-ordinal worker=1
refused no-port "--from-ordinal: cluster.ps[0]: address \"p-0\" has no port" \
    env JOB_COMPLETION_INDEX=0 "$ps" --from-ordinal "ps=2@p-{},worker=1"
refused same "have the same address" env JOB_COMPLETION_INDEX=0 "$ps" --from-ordinal "ps=1@a:1,worker=1@a:1"
refused chiefs "--from-ordinal: cluster.chief has 2 tasks" \
    env JOB_COMPLETION_INDEX=0 "$ps" --from-ordinal "ps=1@a:1,chief=2"
refused hostile "address \"a?b:1\": '?' is not allowed" \
    env JOB_COMPLETION_INDEX=0 "$ps" --from-ordinal $'ps=1@a\nb:1,worker=1'

finish
