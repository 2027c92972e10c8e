#!/bin/bash
# Manual pages and completions say what the programs' --help says: every option of every program and command is in its
# page, pages are as `man' and, where it is to be had, mandoc want them, and bash completes commands, options and values.
#
# Usage: help.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_command.sh
source "$(dirname "$0")/lib_command.sh"

root=$(realpath "$(dirname "$0")/../..")
out=$build/deploy/help/out

# commands_of PROGRAM ARGUMENT...   by its --help.
commands_of() {
    "$@" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'
}

# Long options, by --help itself and not as the generator reads it.
options_of() {
    "$@" --help | grep -oE '^(  -., |  |      )--[a-z0-9-]+(=[^ ]*)?(, --[a-z-]+)?' | grep -oE -- '--[a-z0-9-]+'
}

# page_has PAGE OPTION...
page_has() {
    local page=$out/man/$1.1.gz option text
    shift
    [ -s "$page" ] || {
        fail "there is no $page"
        return
    }
    text=$(zcat "$page" | sed 's|\\||g')
    (($# > 0)) || fail "no option is looked for in $page"
    for option in "$@"; do
        grep -qE -- "^(fB-.fR, )?(fB--[a-z-]*fR, )*fB$option(fR|=)" <<<"$text" || grep -qF -- "fB${option}fR" <<<"$text" ||
            fail "$page does not have $option"
    done
}

begin "every program and every command has a page, with all its options"
for program in "$ps" "$worker"; do
    mapfile -t options < <(options_of "$program")
    page_has "$(basename "$program")" "${options[@]}"
done
mapfile -t commands < <(commands_of "$launcher")
expect [ "${#commands[@]}" -gt 15 ]
for command in "${commands[@]}"; do
    mapfile -t options < <(options_of "$launcher" "$command")
    page_has "penstock-$command" "${options[@]}"
    for nested in $(commands_of "$launcher" "$command"); do
        mapfile -t options < <(options_of "$launcher" "$command" "$nested")
        page_has "penstock-$command" "${options[@]}"
        zcat "$out/man/penstock-$command.1.gz" | sed 's|\\||g' | grep -qx ".SS penstock $command $nested" ||
            fail "penstock-$command.1 does not tell of $nested"
    done
done

begin "a page has a name, what may follow it, what it ends with, and what else to read"
for page in "$out"/man/*.1.gz; do
    for section in NAME SYNOPSIS DESCRIPTION OPTIONS "EXIT STATUS" "SEE ALSO"; do
        zcat "$page" | grep -qx ".SH $section" || fail "$page has no section $section"
    done
done

begin "every variable that the code asks for is told of"
mapfile -t variables < <(grep -rhoE '(getenv\("|_VARIABLE +")[A-Z_]+' --include='*.[ch]' "$root"/{common,ps,worker,deploy} |
    sed 's/.*"//' | sort -u)
expect [ "${#variables[@]}" -gt 5 ]
for variable in "${variables[@]}"; do
    [ "$variable" != OPENBLAS_NUM_THREADS ] || continue # which a worker sets for itself
    zcat "$out"/man/*.1.gz | sed -n '/^.SH ENVIRONMENT/,/^.SH [^E]/p' | sed 's/\\f.//g' |
        grep -qwF "$variable" || fail "no page tells of $variable"
done

begin "man and mandoc take the pages as they are"
for page in "$out"/man/*.1.gz; do
    if command -v man >/dev/null && command -v groff >/dev/null; then
        LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings --encoding=UTF-8 --local-file --troff-device=utf8 "$page" \
            2>&1 >/dev/null | tee "$case_dir/man.log" | sed 's/^/  man: /'
        expect [ ! -s "$case_dir/man.log" ]
    fi
    if command -v mandoc >/dev/null; then
        zcat "$page" | mandoc -T lint -W warning >"$case_dir/mandoc.log" || fail_log mandoc "$page"
    fi
done

# completes EXPECTED WORD...   what bash offers for the last word, which may be empty. `=' stands alone, as bash cuts it.
completes() {
    local wanted=$1 got
    shift
    got=$(bash --norc -c 'source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _penstock 2>&1
        printf "%s\n" "${COMPREPLY[@]}"' bash "$out/completions/bash/penstock" "$@" | sort | paste -sd' ')
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

begin "bash has it for every program that is installed"
expect grep -qE '^complete -F _penstock penstock penstock-ps penstock-worker ' "$out/completions/bash/penstock"

begin "penstock fetch-mnist is deploy/fetch-mnist under another name"
penstock_is 0 fetch-mnist --help
says out '^Usage: penstock fetch-mnist'
refuses 2 'see penstock fetch-mnist --help' fetch-mnist --date x

begin "every program knows its version"
version=$("$launcher" --version | sed 's/.* //')
for command in predict serve; do
    penstock_is 0 "$command" --version
    says out " $version\$"
done
finish
