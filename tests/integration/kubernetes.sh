#!/bin/bash
# The manifests of deploy/kubernetes and the chart deploy/helm/penstock, as kubectl and helm render them: whether they are
# what Kubernetes, the engines and our programs take (kubernetes/check.js), also with keys as Kubernetes mounts them.
# No cluster is needed.
#
# Usage: kubernetes.sh BUILD_FOLDER     exit code 77: there is no npm here
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_kubectl.sh
source "$(dirname "$0")/lib_kubectl.sh"

here=$(realpath "$(dirname "$0")")
deploy=$(realpath "$here/../../deploy")
export HELM_CACHE_HOME=$scratch/helm HELM_CONFIG_HOME=$scratch/helm HELM_DATA_HOME=$scratch/helm

# render NAME   from the kustomization in standard input, or of the overlay of that name.
render() {
    local from=$deploy/kubernetes/overlays/$1
    [ -d "$from" ] || {
        from=$scratch/$1
        mkdir "$from" && sed "s|^  - |  - $up/kubernetes/|" >"$from/kustomization.yaml"
    }
    "$kubectl" kustomize "$from" >"$rendered/$1.yaml" || fail "kubectl cannot render $1"
    [ -s "$rendered/$1.yaml" ] || fail "$1 is empty"
}

rendered=$scratch/rendered
mkdir "$rendered"
up=$(realpath --relative-to "$scratch/any" "$deploy")

begin "every overlay, and every component with every engine"
for overlay in "$deploy"/kubernetes/overlays/*/; do render "$(basename "$overlay")"; done
for engine in "$deploy"/kubernetes/engines/*/; do
    engine=$(basename "$engine")
    { printf 'resources:\n  - base\ncomponents:\n'
      (cd "$deploy/kubernetes" && printf '  - %s\n' components/*)
      printf '  - engines/%s\n' "$engine"; } | render "all-$engine"
done

# chart NAME OPTION...
chart() {
    local name=$1
    shift
    "$helm" template trainer "$deploy/helm/penstock" "$@" >"$rendered/$name.yaml" || fail "helm cannot render $name"
}

# chart_refuses TEXT OPTION...
chart_refuses() {
    local text=$1
    shift
    ! "$helm" template trainer "$deploy/helm/penstock" "$@" >"$case_dir/refused.log" 2>&1 || fail "the chart takes $*"
    expect_log refused "$text"
}

begin "the chart, of each kind as it is and with every value changed; as it is, but for what helm keeps, it is the overlay"
"$helm" lint --strict --quiet "$deploy/helm/penstock" || fail "helm has complaints"
chart helm-default
every=(--set image.repository=registry.example/penstock,image.tag=v1,image.pullPolicy=Always,image.pullSecrets[0].name=pull
    --set ps.replicas=3,ps.memoryLimit=64,ps.checkpointSteps=10,ps.stopSeconds=30,ps.args[0]=--threads=2
    --set ps.nodeSelector.disk=ssd,ps.tolerations[0].key=a,worker.tolerations[0].key=b,worker.nodeSelector.gpu=a
    --set worker.replicas=4,worker.args[0]=--mode=async,worker.gpus=2
    --set data.claim=data,store.storageClass=nfs,store.size=1Gi,keys.psSecret=one,keys.workerSecret=two
    --set monitoring.serviceMonitor=true,monitoring.namespace=prometheus)
expect cmp "$rendered/helm-default.yaml" <("$helm" template trainer "$deploy/helm/penstock" --set kind=statefulset)
for kind in statefulset tfjob tfjob-dynamic jobset volcano; do
    chart "helm-$kind" --set "kind=$kind,store.keep=false"
    expect node "$here/kubernetes/same.js" "$npm_modules" "$rendered/helm-$kind.yaml" "$rendered/$kind.yaml"
    chart "helm-all-$kind" "${every[@]}" --set "kind=$kind"
    chart "helm-insecure-$kind" --set "keys.enabled=false,kind=$kind,worker.gpus=1"
done

begin "values that are unknown, of another type or out of range are refused by name"
chart_refuses "replica" --set ps.replica=3
chart_refuses "replicas" --set-string ps.replicas=3
chart_refuses "replicas" --set worker.replicas=0
chart_refuses "kind" --set kind=deployment
chart_refuses "args" --set worker.args[0]=epochs
chart_refuses "with 3 workers a shard of 1000 MiB does not fit into ps.resources.limits.memory, 2G" \
    --set ps.memoryLimit=1000,ps.resources.limits.memory=2G

begin "no file says a thing twice"
printf 'a: 1\nb: 2\na: 3\n' >"$case_dir/twice.yaml"
expect eval '! node "$here/kubernetes/once.js" "$npm_modules" "$case_dir/twice.yaml" >/dev/null'
mapfile -t files < <(find "$deploy/kubernetes" "$deploy/helm/penstock/values.yaml" "$rendered" -name '*.yaml')
expect node "$here/kubernetes/once.js" "$npm_modules" "${files[@]}"

begin "all of these are what Kubernetes, the engines and our programs take; mistakes in them are found"
expect node "$here/kubernetes/check.js" "$npm_modules" "$build" "$rendered"/*.yaml

if [ "$EUID" = 0 ]; then # who may become another user
    begin "keys are taken as a Secret's volume shows them to a pod with fsGroup: links to root's files of mode 0440"
    pod_user=65532
    chmod 711 "$scratch" "$case_dir"
    make_data "$case_dir/data" 300 && chmod -R a+rX "$case_dir/data"
    mkdir -m 777 "$case_dir/store"
    run_program keygen 0 "$launcher" keygen "$case_dir/keys"

    # mount_secret NAME FILE...
    mount_secret() {
        local at=$case_dir/$1 file
        shift
        mkdir "$at" "$at/..2026" && chmod 1777 "$at" && chmod 755 "$at/..2026" && ln -s ..2026 "$at/..data"
        for file; do
            install -o root -g "$pod_user" -m 0440 "$case_dir/keys/$file" "$at/..2026/$file"
            ln -s "..data/$file" "$at/$file"
        done
    }

    # start_in_pod NAME TF_CONFIG PROGRAM OPTION...   the program may lie where that user has no way to.
    start_in_pod() {
        local name=$1 config=$2 program=$3
        shift 3
        start_task "$name" "$config" setpriv --reuid "$pod_user" --regid "$pod_user" --groups "$pod_user" \
            /proc/self/fd/9 "$@" 9<"$program"
    }

    mount_secret ps-keys ps.key allow
    mount_secret worker-keys ps.pub chief.key worker.key
    cluster=$(dense 1 2)
    start_in_pod ps-0 "$(task "$cluster" ps 0)" "$ps" --curve-keys "$case_dir/ps-keys"
    for i in 0 1; do
        start_in_pod "worker-$i" "$(task "$cluster" worker "$i")" "$worker" --curve-keys "$case_dir/worker-keys" \
            --data-folder "$case_dir/data" --output-dir "$case_dir/store" --batch-size 20 --hidden 16 --epochs 1
    done
    await_all
    expect [ -s "$case_dir/store/model/model.safetensors" ]
fi

finish
