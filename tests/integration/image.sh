#!/bin/bash
# The image's root file system, made by deploy/rootfs of the same package and by the same commands as by deploy/Containerfile:
# it is small, and with a root that is read-only, as a user without rights and as PID 1 its daemons train and end.
#
# Usage: image.sh BUILD_FOLDER     exit code 77: it is not root, or Debian's tools are lacking
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_root.sh
source "$(dirname "$0")/lib_root.sh"

need_root_tools
file=$repository/deploy/Containerfile
root=$scratch/root

# The words of the last instruction $1 of the Containerfile, without its name.
instruction() {
    sed -n "s/^$1 //p" "$file" | tail -n 1
}

user=$(instruction USER)
volume=$(instruction WORKDIR)
read -ra entrypoint < <(instruction ENTRYPOINT | tr -d '[]",')

# in_image VOLUME COMMAND...   as a container runs it: PID 1 of its namespace, its root read-only but for the volume and the
# data, no rights, nothing else in its environment.
in_image() {
    local mounted=$1
    shift
    # shellcheck disable=SC2016 # its own arguments
    exec unshare --mount --propagation private --pid --fork --kill-child bash -euc '
        root=$1 mounted=$2 volume=$3 data=$4 user=$5
        shift 5
        mount --bind "$root" "$root"
        mount --bind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        mount --bind "$mounted" "$root$volume"
        mount --bind "$data" "$root/mnt"
        mount -o remount,bind,ro "$root"
        mount -o remount,bind,ro "$root/mnt"
        exec chroot "$root" env -i PATH=/usr/bin:/bin "HOME=$volume" "TF_CONFIG=${TF_CONFIG-}" \
            setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --no-new-privs --bounding-set=-all \
            sh -c "cd $volume && exec \"\$@\"" sh "$@"
    ' in_image "$root" "$mounted" "$volume" "$scratch/data" "$user" "$@"
}

# volumes NAME...   folders of the case that are the user's.
volumes() {
    local name
    for name in "$@"; do
        mkdir "$case_dir/$name"
        chown "$user" "$case_dir/$name"
    done
}

begin "the Containerfile copies what is there, and that is enough to build from"
mkdir "$case_dir/source"
while read -ra words; do
    [[ ${words[1]} != --from=* ]] || continue
    for path in "${words[@]:1:${#words[@]}-2}"; do
        mkdir -p "$case_dir/source/$(dirname "$path")"
        cp -rT "$repository/$path" "$case_dir/source/$path" || fail "$path is not there"
    done
done < <(grep '^COPY ' "$file")
run_program configure 0 cmake -S "$case_dir/source" -B "$case_dir/built" -DPENSTOCK_TESTS=OFF -DPENSTOCK_CUDA=OFF
expect [ -s "$case_dir/built/CPackConfig.cmake" ]
while read -r path; do
    ! grep -qxE "COPY $path( .*)?" "$file" || fail "$path is copied, and in .dockerignore"
done < <(grep -v '^#' "$repository/.dockerignore")

begin "what cannot be made is refused"
run_program refused 2 "$repository/deploy/rootfs"
run_program refused 2 "$repository/deploy/rootfs" "$scratch"
expect_log refused "$scratch is there already"
run_program refused 2 "$repository/deploy/rootfs" "$root" "$scratch/none.deb"
expect_log refused "there is no package $scratch/none.deb"
expect [ ! -e "$root" ]

begin "its programs are PID 1 themselves, and no root"
expect grep -qE '^ENTRYPOINT \["/[^]]*"\]$' "$file"
expect grep -qE '^CMD \[".*"\]$' "$file"
[[ $user =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] || fail "USER $user is no number"

begin "it is made, small and without tools to build"
make_packages
make_data "$scratch/data" 500
chmod 755 "$scratch"
make_root "$root" "$(echo "$scratch"/packages/penstock_*.deb)"
megabytes=$(du --summarize --block-size=1M --one-file-system "$root" | cut -f1)
echo "  $megabytes MiB"
((megabytes < 300)) || fail "it has $megabytes MiB"
for tool in cc gcc g++ c++ make cmake ninja ld as protoc-c; do
    [ ! -e "$root/usr/bin/$tool" ] || fail "$tool is in it"
done
expect [ -z "$(find "$root/var/lib/apt/lists" "$root/var/cache/apt/archives" "$root/usr/include" "$root/tmp" -type f ! -name lock)" ]

begin "its user may write to its volume and nowhere else"
volumes volume
run_program write 0 in_image "$case_dir/volume" sh -c 'id -u; touch here; ! touch /tmp/there && ! touch /usr/there && ! touch /mnt/there'
expect_log write "${user%:*}"
expect [ -e "$case_dir/volume/here" ]

begin "what it runs when nothing is said"
volumes volume
run_program help 0 in_image "$case_dir/volume" "${entrypoint[@]}" --help
expect_log help "Commands:"

begin "it has what MNIST is downloaded with"
volumes volume
run_program fetch 1 in_image "$case_dir/volume" env PENSTOCK_MNIST_MIRRORS=http://127.0.0.1:9 penstock fetch-mnist
expect_log fetch "Connection refused"

begin "a ps and a worker train to the end"
cluster=$(dense 1 1)
volumes ps worker
TF_CONFIG=$(task "$cluster" ps 0) start ps in_image "$case_dir/ps" penstock-ps --checkpoint-dir checkpoints
TF_CONFIG=$(task "$cluster" worker 0) start worker in_image "$case_dir/worker" penstock-worker --data-folder /mnt --steps 50
await_all
expect [ -s "$case_dir/worker/outputs/model/model.safetensors" ]
expect [ -n "$(ls "$case_dir/ps/checkpoints")" ]

begin "told to end, they end with 143"
cluster=$(dense 1 1)
volumes ps worker
TF_CONFIG=$(task "$cluster" ps 0) start ps in_image "$case_dir/ps" penstock-ps --checkpoint-dir checkpoints
TF_CONFIG=$(task "$cluster" worker 0) start worker in_image "$case_dir/worker" penstock-worker --data-folder /mnt --steps 100000000
await_log worker "step"
for name in worker ps; do
    kill "$(cat "/proc/${pids[$name]}/task/${pids[$name]}/children")"
    await_end "$name" 143
done

begin "the launcher trains with a whole cluster in it"
volumes volume
run_program run 0 in_image "$case_dir/volume" "${entrypoint[@]}" run --ps 1 --workers 2 --run-dir run -- --data-folder /mnt --steps 50
expect [ -s "$case_dir/volume/run/outputs/model/model.safetensors" ]
finish
