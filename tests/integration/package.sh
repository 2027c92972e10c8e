#!/bin/bash
# The Debian packages on a clean Debian made for the test: they install with what they need, train MNIST, tell of themselves,
# and leave nothing behind when they are purged.
#
# Usage: package.sh BUILD_FOLDER     exit code 77: it is not root, or Debian's tools are lacking
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_root.sh
source "$(dirname "$0")/lib_root.sh"

need_root_tools
mnist=$(realpath "${PENSTOCK_MNIST:?the folder of MNIST}")
root=$scratch/root

# in_root COMMAND...   as root of the clean system. Mounts are gone at its end.
in_root() {
    # shellcheck disable=SC2016 # its own arguments
    unshare --mount --propagation private --pid --fork --kill-child bash -euc '
        root=$1 cache=$2 mnist=$3
        shift 3
        mount --bind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        mount -t tmpfs tmpfs "$root/tmp"
        mount -t tmpfs tmpfs "$root/run"
        mount --bind "$cache/packages" "$root/var/cache/apt/archives"
        mkdir "$root/tmp/mnist" "$root/tmp/packages"
        mount --bind "$mnist" "$root/tmp/mnist"
        cp "$(dirname "$root")"/packages/*.deb "$root/tmp/packages"
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
    ' in_root "$root" "$cache" "$mnist" "$@"
}

# What is there, but for what dpkg and apt write down for themselves.
files() {
    (cd "$root" && find . -path ./proc -prune -o -path ./dev -prune -o -path ./var/cache -prune -o -path ./var/log -prune -o \
        -path ./var/lib/dpkg -prune -o -path ./var/lib/apt -prune -o -print | sort)
}

begin "the packages are of the version that the programs name, and have no files for people to configure"
make_packages
# deploy/package/README.md says why.
accepted=maintscript-calls-ldconfig,no-manual-page,pkg-config-unavailable-for-cross-compilation
version=$("$launcher" --version | sed 's/.* //')
for package in penstock libpenstock0 libpenstock-dev; do
    deb=$(echo "$scratch/packages/${package}_${version}_"*.deb)
    expect [ "$(dpkg-deb --field "$deb" Version)" = "$version" ]
    expect [ "$(dpkg-deb --field "$deb" Maintainer)" = "$(sed -n 's/^PENSTOCK_MAINTAINER:[A-Z]*=//p' "$build/CMakeCache.txt")" ]
    dpkg-deb --ctrl-tarfile "$deb" | tar --list | grep conffiles && fail "$package has conffiles"
    if command -v lintian >/dev/null; then
        run_program lintian 0 lintian --allow-root --fail-on error,warning --suppress-tags "$accepted" "$deb"
    fi
done

begin "they install on a clean system"
make_root "$root"
files >"$scratch/before"
cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
run_program update 0 in_root apt-get --quiet update
run_program install 0 in_root sh -c 'apt-get --quiet --yes --no-install-recommends install /tmp/packages/*.deb'

begin "everything that is installed has its page and its completion"
for program in "$root"/usr/bin/penstock*; do
    name=$(basename "$program")
    [[ $name != *.so ]] || continue
    expect [ -s "$root/usr/share/man/man1/$name.1.gz" ]
    [ "$name" = penstock-fetch-mnist ] || expect [ -s "$root/usr/share/bash-completion/completions/$name" ]
done
for package in penstock libpenstock0 libpenstock-dev; do
    expect [ -s "$root/usr/share/doc/$package/copyright" ]
done
for unit in "$repository"/deploy/systemd/*.service; do
    [ ! -e "$unit" ] || expect [ -s "$root/usr/lib/systemd/system/$(basename "$unit")" ]
done

begin "the installed launcher trains MNIST with the installed daemons"
# shellcheck disable=SC2016 # variables of the shell there
run_program train 0 in_root sh -euc '
    export HOME=/tmp/home
    mkdir $HOME && chown 1234:1234 $HOME && cd $HOME
    data=$(penstock fetch-mnist --data /tmp/mnist)
    setpriv --reuid 1234 --regid 1234 --clear-groups \
        penstock run --ps 2 --workers 2 --run-dir run -- --data-folder "$data" --epochs 1 --optimizer momentum --learning-rate 0.03
    ls run/outputs/model/model.safetensors
    penstock predict --rows 0-2 run/outputs/model "$data/t10k-images-idx3-ubyte"
    penstock --version'
expect_log train "run/outputs/model/model.safetensors"
expect_log train "penstock $version"

begin "purged, they leave nothing"
run_program purge 0 in_root apt-get --quiet --yes purge --auto-remove penstock libpenstock0 libpenstock-dev
files >"$scratch/after"
diff "$scratch/before" "$scratch/after" >"$case_dir/left.log" || fail_log left "the files are not those of before"
finish
