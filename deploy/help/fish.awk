# fish.awk - completion for fish, of the records that read.awk makes: a file for each program.
#
# Usage: awk -v folder=OUT -f values.awk -f fish.awk RECORDS

BEGIN { FS = "\t" }

function quoted(text) {
    gsub(/\\n.*/, "", text)
    gsub(/\\/, "\\\\", text)
    gsub(/'/, "\\'", text)
    return "'" text "'"
}

# When what follows is offered: the words of this command are there.
function begin_title(title,    word, count, i) {
    count = split(title, word, / /)
    program = word[1]
    file = folder "/" program ".fish"
    condition = ""
    for (i = 2; i <= count; i++)
        condition = condition (i > 2 ? "; and " : "") "__fish_seen_subcommand_from " word[i]
    nested = count > 1
}

function offer(what, text, more) {
    printf "complete -c %s%s %s%s -d %s\n", program, more == "" ? "" : " -n " quoted(more), what, "", quoted(text) >file
}

$1 == "program" {
    end_commands()
    begin_title($2)
}

$1 == "command" { command[++commands] = $2; summary[commands] = $3 }

# Offered until one of them is there.
function end_commands(    i, all, no) {
    for (i = 1; i <= commands; i++)
        all = all " " command[i]
    no = (nested ? condition "; and " : "") "not __fish_seen_subcommand_from" all
    for (i = 1; i <= commands; i++)
        offer("-f -a " command[i], summary[i], no)
    commands = 0
}

$1 == "option" {
    what = ""
    count = split($2, name, / /)
    for (i = 1; i <= count; i++)
        if (name[i] != "-?")
            what = what (what == "" ? "" : " ") (name[i] ~ /^--/ ? "-l " substr(name[i], 3) : "-s " substr(name[i], 2))
    choices = choices_of($3, $4)
    kind = kind_of($3)
    if (choices != "")
        what = what " -x -a " quoted(choices)
    else if (kind == "file")
        what = what " -r -F"
    else if (kind == "folder")
        what = what " -x -a '(__fish_complete_directories)'"
    else if ($3 != "")
        what = what " -x"
    offer(what, $4, condition)
}

END { end_commands() }
