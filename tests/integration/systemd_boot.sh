#!/bin/bash
# The units of deploy/systemd under systemd as PID 1, which has booted a Debian made for the test with the package in it: they
# train to the bits of a run by hand, are started again when they are killed, and end when they are told to.
#
# Usage: systemd_boot.sh BUILD_FOLDER     exit code 77: it is not root, or Debian's tools are lacking, or namespaces
# shellcheck disable=SC2317 # conditions are called by await
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_root.sh
source "$(dirname "$0")/lib_root.sh"
# shellcheck source=tests/integration/lib_system.sh
source "$(dirname "$0")/lib_system.sh"

need_system
root=$scratch/root
state=$root/var/lib/private/penstock
all=(penstock-ps@0 penstock-ps@1 penstock-worker@0 penstock-worker@1)
training="--data-folder /srv/mnist --steps $(scaled 1000)"
cursor=

# ---- systemd, from outside --------------------------------------------------------------------------

control() {
    enter systemctl --no-pager "$@"
}

# Whatever becomes of others' units.
has_booted() {
    control is-active --quiet multi-user.target 2>/dev/null
}

property() {
    control show --value --property "$2" "$1"
}

# property_is PROPERTY VALUE UNIT...
property_is() {
    local unit
    for unit in "${@:3}"; do
        [ "$(property "$unit" "$1")" = "$2" ] || return 1
    done
}

# What the units have written since the case began, and systemd of them.
keep_journal() {
    enter journalctl --no-pager --output cat ${cursor:+"--after-cursor=$cursor"} --unit 'penstock-*' >"$case_dir/journal.log"
}

journal_says() {
    keep_journal
    log_says journal "$1"
}

# await_units ACTIVE_STATE RESULT UNIT...
await_units() {
    await property_is ActiveState "$1" "${@:3}" && property_is Result "$2" "${@:3}" && return
    control status --full --lines 0 "${@:3}"
    keep_journal
    fail_log journal "${*:3}: not $1 with $2"
}

# What was left is taken away: each case trains anew.
begin_case() {
    begin "$1"
    control stop "${all[@]}"
    control reset-failed
    rm -rf "$state"/*
    cursor=$(enter journalctl --lines 0 --show-cursor | sed -n 's/^-- cursor: //p')
}

model_is_by_hand() {
    cmp "$root/srv/by-hand/outputs/model/model.safetensors" "$state/outputs/model/model.safetensors"
}

# ---- cases ------------------------------------------------------------------------------------------

begin "systemd boots, and enabled units train to their end"
make_packages
make_root "$root"
install_into "$root" systemd "./$(basename "$scratch"/packages/penstock_*.deb)"
make_data "$root/srv/mnist" 500
echo penstock-test >"$root/etc/hostname"
mkdir "$root/etc/penstock"
echo '{"ps": ["127.0.0.1:2222", "127.0.0.1:2223"], "worker": ["127.0.0.1:2224", "127.0.0.1:2225"]}' \
    >"$root/etc/penstock/cluster.json"
cat >"$root/etc/penstock/penstock.env" <<END
PENSTOCK_WORKER_OPTIONS="$training"
PENSTOCK_PS_OPTIONS='--checkpoint-steps 20'
END
run_program enable 0 chroot "$root" systemctl enable "${all[@]}"
start_system "$root" /lib/systemd/systemd --unit=multi-user.target
await has_booted
await_units inactive success "${all[@]}"
expect property_is NRestarts 0 "${all[@]}"
expect journal_says "the job has finished"
enter journalctl --no-pager --output cat --priority warning _PID=1 >"$case_dir/warnings.log"
! log_says warnings penstock || fail_log warnings "systemd is not content"

begin "what they leave is what a run by hand does"
# shellcheck disable=SC2086 # several words
run_program by-hand 0 enter penstock run --ps 2 --workers 2 --run-dir /srv/by-hand --quiet -- $training
expect model_is_by_hand

begin_case "a ps and a worker that are killed are started again, and the bits are the same"
control start "${all[@]}"
await journal_says "checkpoint of step"
control kill --signal=KILL penstock-ps@1 penstock-worker@0
await_units inactive success "${all[@]}"
expect property_is NRestarts 1 penstock-ps@1 penstock-worker@0
expect property_is NRestarts 0 penstock-ps@0 penstock-worker@1
expect model_is_by_hand

begin_case "told to end, they have succeeded and stay where they are; started, they go on from there"
control start "${all[@]}"
await journal_says "checkpoint of step"
control kill --signal=TERM penstock-worker@0
await_units inactive success penstock-worker@0
run_program stop 0 control stop "${all[@]}"
await_units inactive success "${all[@]}"
expect property_is NRestarts 0 "${all[@]}"
expect journal_says "interrupted by a signal"
expect journal_says "winding up at step"
expect [ ! -e "$state/outputs/model/model.safetensors" ]
control start "${all[@]}"
await_units inactive success "${all[@]}"
expect model_is_by_hand

begin_case "what would fail again is not started again"
echo "PENSTOCK_PS_OPTIONS=--no-such-option" >"$root/etc/penstock/ps-1.env"
echo "PENSTOCK_WORKER_OPTIONS='--data-folder /nowhere'" >"$root/etc/penstock/worker-1.env"
control start penstock-ps@1 penstock-worker@1
await_units failed exit-code penstock-ps@1 penstock-worker@1
expect property_is ExecMainStatus 2 penstock-ps@1
expect property_is ExecMainStatus 3 penstock-worker@1
expect property_is NRestarts 0 penstock-ps@1 penstock-worker@1
expect journal_says "no-such-option"
expect journal_says "in /nowhere"
rm "$root/etc/penstock/ps-1.env" "$root/etc/penstock/worker-1.env"

begin_case "with keys, which a user that stays may read"
run_program user 0 enter useradd --system penstock
run_program keys 0 enter penstock keygen /etc/penstock/keys
run_program own 0 enter chown -R penstock: /etc/penstock/keys
echo "PENSTOCK_CURVE_KEYS=/etc/penstock/keys" >>"$root/etc/penstock/penstock.env"
control start "${all[@]}"
await_units inactive success "${all[@]}"
expect [ "$(enter stat -L -c %U /var/lib/penstock/outputs)" = penstock ]
expect model_is_by_hand

finish
