#!/bin/bash
# What `cmake --install` puts into a prefix works from there: the programs find each other, and a program of
# someone else's builds and runs with the client's headers and library alone, also from a prefix that was moved.
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

# Where it was not installed to: as a package does it, and as somebody who moves it.
moved=$scratch/moved
run_program staged 0 env DESTDIR="$scratch/stage" cmake --install "$build" --prefix /opt/penstock
mv "$scratch/stage/opt/penstock" "$moved"
libraries=$(dirname "$(find "$moved" -name libpenstock.so)")
version=$("$moved/bin/penstock" --version | sed 's/.* //')

# client_computes PROGRAM   it finds the library, and pushes and pulls.
client_computes() {
    run_program client 0 env LD_LIBRARY_PATH="$libraries" "$1"
    expect_log client "0.99 0.98 0.97 0.96"
}

begin "a program builds and runs with the installed client, by pkg-config"
export PKG_CONFIG_PATH=$libraries/pkgconfig
expect [ "$(pkg-config --modversion penstock)" = "$version" ]
read -ra flags < <(pkg-config --cflags --libs penstock)
run_program compile 0 cc -std=gnu11 -Wall -Wextra -Werror "$here/installed_client.c" "${flags[@]}" -o "$case_dir/client"
client_computes "$case_dir/client"

begin "a program builds and runs with the installed client, by CMake's find_package"
project=$case_dir/source
mkdir "$project"
cp "$here/installed_client.c" "$project"
cat >"$project/CMakeLists.txt" <<PROJECT
cmake_minimum_required(VERSION 3.25)
project(client C)
find_package(Penstock ${version%.*} REQUIRED)
add_executable(client installed_client.c)
target_link_libraries(client PRIVATE Penstock::penstock)
PROJECT
run_program configure 0 cmake -S "$project" -B "$case_dir/built" -DCMAKE_PREFIX_PATH="$moved"
run_program compile 0 cmake --build "$case_dir/built"
client_computes "$case_dir/built/client"

begin "CMake refuses an installation of another version"
sed -i 's/find_package(Penstock [^ ]*/find_package(Penstock 99.0/' "$project/CMakeLists.txt"
run_program configure 1 cmake -S "$project" -B "$case_dir/built" -DCMAKE_PREFIX_PATH="$moved"
expect_log configure "$version"

finish
