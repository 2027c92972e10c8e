#!/bin/bash
# Manual pages say what the programs' --help says: every option of every program and command is in its page, and pages are as
# `man' and, where it is to be had, mandoc want them.
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
