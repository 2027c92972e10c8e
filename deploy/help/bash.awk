# bash.awk - completion for bash, of the records that read.awk makes.
#
# Usage: awk -f values.awk -f bash.awk bash.in RECORDS. In bash.in, which has the code, the line @TABLE@ becomes the table.

BEGIN { FS = "\t" }

FILENAME ~ /bash\.in$/ {
    lines[++count] = $0
    next
}

function end_program() {
    if (title == "")
        return
    table = table sprintf("    '%s')\n        commands='%s'\n        options='%s'\n", title, commands, options)
    table = table sprintf("        values='%s'\n        after='%s'\n        ;;\n", values, after)
    commands = options = values = after = ""
}

function join(list, item) {
    return list (list == "" ? "" : " ") item
}

$1 == "program" {
    end_program()
    title = $2
}

$1 == "usage" && after == "" { after = after_dashes($2) }
# "[OPTION...] list DIR": a word that stands there for itself.
$1 == "usage" && match($2, /^\[OPTION\.\.\.\] [a-z]+ /) { commands = join(commands, substr($2, 13, RLENGTH - 13)) }
$1 == "command" { commands = join(commands, $2) }

$1 == "option" {
    number = split($2, name, / /)
    kind = kind_of($3)
    choices = choices_of($3, $4)
    gsub(/ /, ",", choices)
    for (i = 1; i <= number; i++) {
        options = join(options, name[i] ($3 != "" && name[i] ~ /^--/ ? "=" : ""))
        if ($3 != "")
            values = join(values, name[i] ":" (choices != "" ? choices : kind))
    }
}

END {
    end_program()
    for (i = 1; i <= count; i++)
        if (lines[i] == "@TABLE@")
            printf "%s", table
        else
            print lines[i]
}
