#!/bin/bash
# The manifests of deploy/kubernetes, as `kubectl kustomize` renders them, train in pods made of namespaces, while
# those are deleted and killed: pods.py. Skipped, with the reason, where a tool is missing or namespaces cannot be made.
#
# Usage: pods.sh BUILD_FOLDER [OVERLAY...]
here=$(realpath "$(dirname "$0")")
overlays=("${@:2}")
# shellcheck source=tests/integration/lib.sh
source "$here/lib.sh" "$1"
# shellcheck source=tests/integration/lib_kubectl.sh
source "$here/lib_kubectl.sh"

skip() {
    echo "skipped: $*"
    exit 77
}

[ -n "$(type -P python3)" ] || skip "there is no python3"
[ -n "$(type -P ip)" ] || skip "there is no ip (Debian's iproute2)"
python3 -c 'import yaml' 2>/dev/null || skip "Python has no module yaml (Debian's python3-yaml)"
own=(env)
if [ "$(id -u)" != 0 ]; then
    own=(unshare --user --map-root-user --mount --net sh -c 'ip link set lo up && exec "$@"' sh)
    "${own[@]}" true 2>/dev/null || skip "no right to make namespaces"
fi
# All kinds; of GPUs there are none here.
((${#overlays[@]})) || mapfile -t overlays < <(printf '%s\n' "$here"/../../deploy/kubernetes/overlays/* | grep -v -- -gpu)
# The operator gives a job of one pod no TF_CONFIG. A step of it crosses no wire, so it needs more of them to be disturbed in.
mkdir "$scratch/overlays" "$scratch/overlays/tfjob-alone"
cat >"$scratch/overlays/tfjob-alone/kustomization.yaml" <<OVERLAY
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [$(realpath --relative-to="$scratch/overlays/tfjob-alone" "$here/../../deploy/kubernetes/overlays/tfjob")]
patches:
  - target: {kind: TFJob}
    patch: |-
      - {op: remove, path: /spec/tfReplicaSpecs/PS}
      - {op: replace, path: /spec/tfReplicaSpecs/Worker/replicas, value: 1}
      - {op: add, path: /spec/tfReplicaSpecs/Worker/template/spec/containers/0/args/-, value: --epochs=60}
OVERLAY
overlays+=("$scratch/overlays/tfjob-alone")
make_data "$scratch/data/mnist" "$(scaled 30000)"
chmod -R a+rX "$scratch"
"${own[@]}" python3 -B "$here/pods.py" "$kubectl" "$build" "$scratch/data" "$scratch" "${overlays[@]}"
exit
