#!/bin/bash
# What `cmake --install` puts into a prefix works from there: the programs find each other, and a program of
# someone else's builds and runs with the client's headers and library alone.
#
# Usage: install.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

prefix=$scratch/installed
here=$(realpath "$(dirname "$0")")
make_data "$scratch/data" 500

begin "an installation is complete"
run_program install 0 cmake --install "$build" --prefix "$prefix"
for program in penstock penstock-bench penstock-predict penstock-ps penstock-serve penstock-sim penstock-worker; do
    expect [ -x "$prefix/bin/$program" ]
done
for unit in ps worker; do
    expect [ -s "$prefix/lib/systemd/system/penstock-$unit@.service" ]
done

begin "its launcher trains with its daemons"
run_program run 0 "$prefix/bin/penstock" run --ps 2 --workers 2 --run-dir "$case_dir/run" -- \
    --data-folder "$scratch/data" --steps 10
expect [ -s "$case_dir/run/outputs/model/model.safetensors" ]

begin "its launcher simulates"
run_program sim 0 "$prefix/bin/penstock" sim --seeds 3
expect_log sim "3 schedules passed"

begin "a program builds and runs with the installed client"
library=$(find "$prefix" -name libpenstock.so)
run_program compile 0 cc -std=gnu11 -Wall -Wextra -Werror -I "$prefix/include/penstock" "$here/installed_client.c" \
    -o "$case_dir/client" -L "$(dirname "$library")" -lpenstock
run_program client 0 env LD_LIBRARY_PATH="$(dirname "$library")" "$case_dir/client"
expect_log client "0.99 0.98 0.97 0.96"

finish
