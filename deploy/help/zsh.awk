# zsh.awk - completion for zsh, of the records that read.awk makes: the table of zsh.in, which has the code.
#
# Usage: awk -f values.awk -f zsh.awk zsh.in RECORDS

BEGIN { FS = "\t" }

FILENAME ~ /zsh\.in$/ {
    lines[++count] = $0
    next
}

# "word:what it is" as _describe takes it.
function described(word, text) {
    gsub(/\\n.*/, "", text)
    gsub(/'/, "'\\''", text)
    gsub(/:/, "\\:", word)
    return " '" word ":" text "'"
}

function end_program() {
    if (title == "")
        return
    table = table sprintf("    ('%s')\n        commands=(%s)\n        flags=(%s)\n        settings=(%s)\n", title, commands, flags, settings)
    table = table sprintf("        values=(%s)\n        after='%s'\n        ;;\n", values, after)
    commands = flags = settings = values = after = ""
}

$1 == "program" {
    end_program()
    title = $2
}

$1 == "usage" && after == "" { after = after_dashes($2) }
$1 == "usage" && match($2, /^\[OPTION\.\.\.\] [a-z]+ /) { commands = commands described(substr($2, 13, RLENGTH - 13), "") }
$1 == "command" { commands = commands described($2, $3) }

$1 == "option" {
    number = split($2, name, / /)
    choices = choices_of($3, $4)
    gsub(/ /, ",", choices)
    for (i = 1; i <= number; i++)
        if ($3 == "")
            flags = flags described(name[i], $4)
        else {
            settings = settings described(name[i] (name[i] ~ /^--/ ? "=" : ""), $4)
            values = values " '" name[i] "' '" (choices != "" ? choices : kind_of($3)) "'"
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
