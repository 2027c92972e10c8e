#!/bin/bash
# Shells complete commands, options and values: bash; fish and zsh where they are installed.
#
# Usage: completion.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

here=$(realpath "$(dirname "$0")")
completions=$build/deploy/help/out/completions
# Of sort.
export LC_ALL=C

# completes EXPECTED WORD...   what bash offers for the last word, which may be empty. `=' stands alone, as bash cuts it.
completes() {
    local wanted=$1 got
    shift
    got=$(bash --norc -c 'source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _penstock 2>&1
        printf "%s\n" "${COMPREPLY[@]}"' bash "$completions/bash/penstock" "$@" | sort | paste -sd' ')
    [ "$got" = "$wanted" ] || fail "$*: completed to '$got' instead of '$wanted'"
}

begin "bash completes commands, options and values"
mkdir "$case_dir/folder" "$case_dir/folder/inner"
touch "$case_dir/folder/job.json"
cd "$case_dir/folder" || exit 1
completes "run runs" penstock r
completes "cancel compare list logs rm show" penstock runs ""
completes "list rm verify" penstock checkpoints ""
completes "--json" penstock checkpoints list --j
completes "--follow" penstock runs logs --f
completes "--check-config --checkpoint-dir= --checkpoint-keep= --checkpoint-secs= --checkpoint-steps=" penstock-ps --ch
completes "--check-config" "$build/worker/penstock-worker" --ch
completes "--registry= --restarts=" penstock run --ps 2 --re
completes "--epochs=" penstock run --ps 2 -- --epo
completes "--spare-workers=" penstock sweep job.json -- --sp
completes "--epochs=" penstock sweep job.json -- --ps 2 -- --epo
completes "bf16 fp16 fp32 int8 topk" penstock-worker --push-codec =
completes "fp16 fp32" penstock-worker --push-codec = f
completes "tanh" penstock run -- --activation t
completes "inner" penstock run --run-dir ""
completes "inner" penstock run --run-dir =
completes "job.json" penstock submit j
completes "" penstock run --ps = ""
cd "$scratch" || exit 1

if command -v fish >/dev/null; then
    # fish_completes EXPECTED LINE
    fish_completes() {
        local got
        got=$(fish --no-config -c 'for file in $argv[1]/*.fish; source $file; end; complete -C $argv[2]' \
            "$completions/fish" "$2" | cut -f1 | sort | paste -sd' ')
        [ "$got" = "$1" ] || fail "fish: $2: completed to '$got' instead of '$1'"
    }

    begin "fish completes likewise"
    fish_completes "run runs" "penstock r"
    fish_completes "cancel compare list logs rm show" "penstock runs "
    fish_completes "--registry --restarts" "penstock run --re"
    fish_completes "--follow" "penstock runs logs --f"
    fish_completes "--check-config --checkpoint-dir --checkpoint-keep --checkpoint-secs --checkpoint-steps" "penstock-ps --ch"
    fish_completes "bf16 fp16 fp32 int8 topk" "penstock-worker --push-codec "
fi

if command -v zsh >/dev/null; then
    begin "zsh completes likewise"
    timeout "$PATIENCE_S" zsh -f "$here/complete.zsh" "$completions/zsh" "penstock fetc" "penstock runs canc" "penstock checkpoints veri" \
        "penstock models register --pat" "penstock-ps --durab" "penstock run --ps 2 -- --precis" \
        "penstock-worker --activation ta" "penstock-worker --activation=ta" >"$case_dir/zsh.log" 2>&1
    diff - "$case_dir/zsh.log" <<'LINES' || fail "zsh completes otherwise"
penstock fetch-mnist
penstock runs cancel
penstock checkpoints verify
penstock models register --path=
penstock-ps --durability=
penstock run --ps 2 -- --precision=
penstock-worker --activation tanh
penstock-worker --activation=tanh
LINES
fi
finish
