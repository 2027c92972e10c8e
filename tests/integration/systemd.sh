#!/bin/bash
# The units of deploy/systemd: systemd accepts them and finds little exposed, their exit codes are the daemons', and
# what they start, with the environment that they give it, trains.
#
# Usage: systemd.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

units=$(realpath "$(dirname "$0")/../../deploy/systemd")
make_data "$scratch/data" 500

# The units as they are, but for the daemons, which are those of this build.
installed=$scratch/units
mkdir "$installed"
for program in ps worker; do
    sed "s|^ExecStart=penstock-$program |ExecStart=${!program} |" "$units/penstock-$program@.service" \
        >"$installed/penstock-$program@.service"
    expect grep -q "^ExecStart=${!program} " "$installed/penstock-$program@.service"
done

# instance PROGRAM INDEX   the lines of the section [Service], as they are for this instance.
instance() {
    sed -n '/^\[Service\]/,/^\[Install\]/{/^[A-Z][A-Za-z]*=/p}' "$installed/penstock-$1@.service" |
        sed "s|%i|$2|g; s|%S|$case_dir/state|g; s|/etc/penstock|$case_dir/etc|g"
}

# start_unit PROGRAM INDEX   as systemd would: Environment=, then the files, and the words of ExecStart=, where ${A} is one
# word and $A as many as it has, which is what a shell makes of "${A}" and $A.
start_unit() {
    local line command="" variables=() files=()
    while read -r line; do
        case $line in
        Environment=*) variables+=("${line#*=}") ;;
        EnvironmentFile=*) files+=("${line#*=}") ;;
        ExecStart=*) command=$(sed -E 's/\$\{([A-Z_]+)\}/"${\1}"/g' <<<"${line#*=}") ;;
        esac
    done < <(instance "$1" "$2")
    mkdir -p "$case_dir/state/penstock"
    # shellcheck disable=SC2016 # expanded by the inner shell
    start "$1-$2" env -i -C "$case_dir/state/penstock" PATH="$PATH" TSAN_OPTIONS="${TSAN_OPTIONS:-}" \
        "${variables[@]}" bash -c '
        set -a
        for file in "${@:2}"; do
            [ ! -e "${file#-}" ] || source "${file#-}"
        done
        eval "exec $1"' bash "$command" "${files[@]}"
}

begin "systemd accepts the units, and finds little exposed"
if command -v systemd-analyze >/dev/null; then
    run_program verify 0 systemd-analyze verify --man=no "$installed/penstock-ps@0.service" \
        "$installed/penstock-worker@0.service"
    [ ! -s "$case_dir/verify.log" ] || fail_log verify "systemd-analyze verify complains"
    for program in ps worker; do
        # 0 is safe, 100 is unsafe.
        run_program security 0 systemd-analyze security --no-pager --offline=true --threshold=25 \
            "$installed/penstock-$program@.service"
        expect_log security "Overall exposure level"
    done
else
    echo "  skipped: there is no systemd-analyze"
fi

begin "exit codes that would come again are final, and the signal's is none"
for program in ps worker; do
    instance "$program" 0 >"$case_dir/$program.log"
    for line in Restart=on-failure "RestartPreventExitStatus=1 2 3" SuccessExitStatus=143 KillSignal=SIGTERM; do
        expect grep -qxF -- "$line" "$case_dir/$program.log"
    done
done
# Longer than what the ps takes for itself.
stop_s=$("$ps" --help | tr -s ' \n' ' ' | sed -nE 's/.*--stop-secs=N [^(]*\(([0-9]+)\).*/\1/p')
expect [ "$(sed -n 's/^TimeoutStopSec=//p' "$case_dir/ps.log")" -gt "${stop_s:-1000000}" ]

begin "what the units start, with their environment, trains to the bits of a cluster by hand"
train by-hand 2 2 --data-folder "$scratch/data" --steps 10
mkdir "$case_dir/etc"
dense 2 2 >"$case_dir/etc/cluster.json"
echo "PENSTOCK_WORKER_OPTIONS=\"--data-folder $scratch/data --steps 10\"" >"$case_dir/etc/penstock.env"
echo "PENSTOCK_PS_OPTIONS='--lease-secs 60'" >"$case_dir/etc/ps-1.env"
for index in 0 1; do
    start_unit ps "$index"
    start_unit worker "$index"
done
await_all
expect [ -d "$case_dir/state/penstock/checkpoints/step-000000000010" ]
mv "$case_dir/state/penstock/outputs/model/model.safetensors" "$case_dir/units.safetensors"
same_model by-hand units

begin "no memory need be both writable and executable, as MemoryDenyWriteExecute wants it"
# The kernel's own way to forbid it, from 6.3 on, is inherited (PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN).
deny=(python3 -c 'import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0:
    sys.exit(77)
os.execvp(sys.argv[1], sys.argv[1:])')
if grep -q MemoryDenyWriteExecute=yes "$units/penstock-ps@.service" && "${deny[@]}" true; then
    cluster=$(dense 1 1)
    start_task ps "$(task "$cluster" ps 0)" "${deny[@]}" "$ps" --checkpoint-dir "$case_dir/checkpoints"
    start_task worker "$(task "$cluster" worker 0)" "$worker" --data-folder "$scratch/data" --steps 3 \
        --output-dir "$case_dir/outputs"
    await_all
else
    echo "  skipped: this kernel has no PR_SET_MDWE"
fi

finish
