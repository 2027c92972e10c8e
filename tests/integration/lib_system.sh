# shellcheck shell=bash
# shellcheck disable=SC2154 # scratch comes from lib.sh
# lib_system.sh - for tests in a whole system of their own, with a PID 1, a network and groups of processes that are none of
# the host's: to be sourced after lib_root.sh. Nothing of it outlives the test.

system=      # the process whose child is PID 1 there
system_pid=  # that child, as the host counts
system_group=penstock-test-$$ # in the hierarchy of cgroup2

# Before a command: cgroup2 is at $scratch/groups for it, wherever this host has it.
# shellcheck disable=SC2016 # its own arguments
with_groups=(unshare --mount --propagation private bash -euc 'mount -t cgroup2 cgroup2 "$1" && shift && exec "$@"'
    with_groups "$scratch/groups")

# Ends the test with 77 where it cannot be.
need_system() {
    need_root_tools
    mkdir "$scratch/groups"
    # shellcheck disable=SC2016 # its own arguments
    "${with_groups[@]}" sh -c 'mkdir "$1" && rmdir "$1"' sh "$scratch/groups/$system_group" 2>/dev/null || {
        echo "there are no groups to be made (cgroup2)"
        exit 77
    }
    unshare --pid --fork --net --uts --ipc --cgroup true 2>/dev/null || {
        echo "this root may not make all namespaces"
        exit 77
    }
}

# become_system ROOT COMMAND...   COMMAND, as PID 1, sees what a container's does, and cannot change the host: its kernel's
# settings, modules and clock.
become_system() {
    # shellcheck disable=SC2016 # their own arguments
    exec "${with_groups[@]}" bash -euc '
        mkdir "$1"
        echo $$ >"$1/cgroup.procs"
        shift
        exec "$@"
    ' become_system "$scratch/groups/$system_group" \
        unshare --mount --pid --fork --kill-child --net --uts --ipc --cgroup bash -euc '
        root=$1
        shift
        mount --bind "$root" "$root"
        cd "$root"
        mount -t proc proc proc
        mount --bind proc/sys proc/sys
        mount -o remount,bind,ro proc/sys
        mount -t sysfs -o ro sysfs sys
        mount -t cgroup2 cgroup2 sys/fs/cgroup
        mount -t tmpfs -o mode=755 tmpfs run
        mount -t tmpfs tmpfs tmp
        mount -t tmpfs -o mode=755 tmpfs dev
        for device in null zero full random urandom tty; do
            touch "dev/$device"
            mount --bind "/dev/$device" "dev/$device"
        done
        mkdir dev/pts dev/shm
        mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
        mount -t tmpfs tmpfs dev/shm
        ln -s pts/ptmx dev/ptmx
        ln -s /proc/self/fd dev/fd
        hostname "$(cat etc/hostname)"
        pivot_root . mnt
        umount --lazy /mnt
        exec setpriv --bounding-set=-sys_boot,-sys_module,-sys_rawio,-sys_time,-syslog \
            env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=penstock-test "$@"
    ' become_system "$@"
}

# start_system ROOT COMMAND...   output goes to $scratch/system.log.
start_system() {
    trap 'kill_all; end_system; rm -rf "$scratch"' EXIT
    become_system "$@" >"$scratch/system.log" 2>&1 </dev/null &
    system=$!
    await system_is_there "$1" || finish
}

# From here on its root is no more the host's.
system_is_there() {
    system_pid=$(tr -d ' ' <"/proc/$system/task/$system/children")
    [ -n "$system_pid" ] && [ "/proc/$system_pid/root" -ef "$1" ]
}

end_system() {
    [ -z "$system" ] || kill -KILL "$system" 2>/dev/null # and with it PID 1, and all
    wait "$system" 2>/dev/null
    await groups_are_gone
}

groups_are_gone() {
    # shellcheck disable=SC2016 # its own arguments
    "${with_groups[@]}" sh -c '[ ! -e "$1" ] || find "$1" -depth -type d -exec rmdir {} +' sh \
        "$scratch/groups/$system_group" 2>/dev/null
}

# enter COMMAND...   as root in there.
enter() {
    nsenter --target "$system_pid" --mount --pid --net --uts --ipc --cgroup --root \
        --wd="/proc/$system_pid/root" -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
