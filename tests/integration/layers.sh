#!/bin/bash
# The layers hold in this tree, and check-layers would see it if they did not.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
copy=$(mktemp -d) # a house without furniture
trap 'rm -rf "$copy"' EXIT
failures=0

"$here/check-layers" "$root" || failures=1

mkdir "$copy"/{proto,common,ps,worker,deploy}

# planted FILE TEXT EXPECTED: with a line of TEXT added to FILE, check-layers names EXPECTED; and not after.
planted() {
    local file=$copy/$1 found
    echo "$2" >>"$file"
    found=$("$here/check-layers" "$copy")
    if [ $? != 1 ] || ! grep -qF -- "$3" <<<"$found"; then
        echo "FAILED: '$2' in $1 was not refused with '$3': $found"
        failures=1
    fi
    rm "$file"
}

# allowed FILE TEXT: that is fine.
allowed() {
    local found
    echo "$2" >>"$copy/$1"
    found=$("$here/check-layers" "$copy") || {
        echo "FAILED: '$2' in $1 was refused: $found"
        failures=1
    }
}

planted common/planted.c '#include "ps/optimizer.h"' "common/planted.c:1: common/ may not include ps/optimizer.h"
planted common/planted.h '#include "deploy/run.h"' "common/planted.h:1: common/ may not include deploy/run.h"
planted ps/planted.c '  #  include "worker/mlp.h"' "ps/planted.c:1: ps/ may not include worker/mlp.h"
planted worker/planted.c '#include "ps/optimizer.h"' "worker/planted.c:1: worker/ may not include ps/optimizer.h"
planted worker/embedded.h '#include "ps/optimizer.h"' "worker/embedded.h"
planted deploy/planted.c '#include "ps/optimizer.h"' "deploy/ may not include ps/optimizer.h"
planted ps/planted.c '#include "tests/unit/unit.h"' "ps/ may not include tests/unit/unit.h"
planted ps/planted.c '#include <zmq.h>' "zmq.h belongs in the transport"
planted common/planted.c '#include <cjson/cJSON.h>' "cjson/cJSON.h belongs in the JSON reader"
planted worker/planted.c '#include <cblas.h>' "cblas.h belongs in worker/backend_cpu.c"
planted worker/planted.c '#include <cublas_v2.h>' "cublas_v2.h belongs in the CUDA backend"
planted worker/planted.c '#include <cuda_runtime.h>' "cuda_runtime.h belongs in the CUDA backend"
planted ps/planted.c '#include <microhttpd.h>' "microhttpd.h belongs in the HTTP server"
planted ps/planted.c '#include <sqlite3.h>' "sqlite3.h belongs in the registry's deploy/registry/database.c"
planted ps/planted.c '#include <zlib.h>' "zlib.h belongs in the data reader"
planted ps/planted.c '#include <cmocka.h>' "cmocka.h belongs in tests/"
planted notes.txt 'x' "notes.txt: the top level holds only"
allowed common/transport_planted.c '#include <zmq.h>'
allowed worker/embedded.c '#include "ps/optimizer.h"'
allowed deploy/planted.c '#include "worker/mlp.h"'
allowed ps/planted.c '#include "common/status.h"'

[ $failures = 0 ] && echo "all passed"
exit $failures
