# shellcheck shell=bash
# shellcheck disable=SC2154 # scratch, build come from lib.sh
# lib_root.sh - for tests in a root file system made for them: to be sourced after lib.sh. They take root, and Debian's tools.

repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
cache=${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}

# Ends the test with 77 where it cannot be.
need_root_tools() {
    local tool
    [ "$EUID" = 0 ] || {
        echo "only root can make a root file system"
        exit 77
    }
    for tool in cpack dpkg-deb dpkg-shlibdeps apt-get unshare chroot; do
        command -v $tool >/dev/null || {
            echo "there is no $tool here"
            exit 77
        }
    done
    command -v mmdebstrap >/dev/null || command -v debootstrap >/dev/null || {
        echo "there is neither mmdebstrap nor debootstrap here"
        exit 77
    }
    unshare --mount --pid --fork true 2>/dev/null || {
        echo "this root may not make namespaces"
        exit 77
    }
}

# The .debs of this build, into $scratch/packages.
make_packages() {
    (cd "$build" && cpack -B "$scratch/packages") >"$scratch/cpack.log" 2>&1 || {
        tail -n 20 "$scratch/cpack.log"
        fail "cpack fails"
        finish
    }
}

# make_root FOLDER [PACKAGE]
make_root() {
    PENSTOCK_CACHE=$cache "$repository/deploy/rootfs" "$@" || {
        fail "deploy/rootfs fails"
        finish
    }
}

# install_into FOLDER PACKAGE...   what make_root made without a package; files lie in $scratch/packages.
install_into() {
    local into=$1
    shift
    cp --dereference /etc/resolv.conf "$into/etc/resolv.conf"
    # Mounts are gone with the namespace.
    # shellcheck disable=SC2016 # its own arguments
    unshare --mount --propagation private bash -euc '
        into=$1 packages=$2 cache=$3
        shift 3
        mount --bind /dev "$into/dev"
        mount -t proc proc "$into/proc"
        mount --bind "$packages" "$into/mnt"
        mount --bind "$cache/packages" "$into/var/cache/apt/archives"
        set -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
            sh -c "apt-get --quiet update && cd /mnt && apt-get --quiet --yes --no-install-recommends \
                -o DPkg::Options::=--force-unsafe-io install \"\$@\"" sh "$@"
        chroot "$into" "$@"
    ' install_into "$into" "$scratch/packages" "$cache" "$@" >"$scratch/install.log" 2>&1 || {
        tail -n 20 "$scratch/install.log"
        fail "apt-get fails"
        finish
    }
}
