# man.awk - manual pages, of the records that read.awk makes and of `sections'. After a record "program TITLE SUMMARY"
# come those of that program: "penstock run" gets the page penstock-run(1), and "penstock runs list" is told of in
# penstock-runs(1).
#
# Usage: awk -v folder=OUT -v version=V -v date=D -f man.awk sections RECORDS

BEGIN { FS = "\t" }

# As roff takes it: nothing in it is an escape or a request.
function plain(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    return text ~ /^[.']/ ? "\\&" text : text
}

# Of a field, where \n stands for a new line.
function body(text,    lines, count, i, out) {
    count = split(text, lines, /\\n/)
    for (i = 1; i <= count; i++)
        out = out (i > 1 ? ".br\n" : "") plain(lines[i]) "\n"
    return out
}

function tag(names, argument,    each, count, i, out) {
    count = split(names, each, / /)
    for (i = 1; i <= count; i++) {
        out = out (i > 1 ? ", " : "") "\\fB" plain(each[i]) "\\fR"
        if (argument != "" && i == count)
            out = out (each[i] ~ /^--/ && !(argument ~ /^\[/) ? "=" : "") "\\fI" plain(argument) "\\fR"
    }
    return ".TP\n" out "\n"
}

function trim(text) {
    gsub(/^ +| +$/, "", text)
    return text
}

# Those lines of `sections' that are for this page, the more special one of a section without terms alone.
function special(name, section,    i, out, untagged) {
    for (i = 1; i <= rules; i++) {
        if (rule_section[i] != section || !(rule_pages[i] == "*" || index(" " rule_pages[i] " ", " " name " ")))
            continue
        if (rule_term[i] == "")
            untagged = body(rule_text[i])
        else
            out = out ".TP\n\\fB" plain(rule_term[i]) "\\fR\n" body(rule_text[i])
    }
    return untagged out
}

function section(title, text) {
    return text == "" ? "" : ".SH " title "\n" text
}

function end_page(    file, pages, count, i) {
    if (page == "")
        return
    file = folder "/" page ".1"
    printf ".TH %s 1 \"%s\" \"Penstock %s\" \"Penstock\"\n", toupper(plain(page)), date, version >file
    # Hyphens only where the text has them, and the left edge alone is straight: options must be found by a search.
    printf ".nh\n.ad l\n" >file
    printf "%s", section("NAME", plain(page) " \\- " plain(summary) "\n") >file
    printf "%s", section("SYNOPSIS", synopsis) section("DESCRIPTION", description) >file
    printf "%s", section("COMMANDS", commands nested) section("OPTIONS", options) >file
    printf "%s", section("EXIT STATUS", exits == "" ? special(page, "EXIT STATUS") : exits) >file
    count = split("ENVIRONMENT/FILES/SEE ALSO", pages, "/")
    for (i = 1; i <= count; i++)
        printf "%s", section(pages[i], special(page, pages[i])) >file
    close(file)
    page = synopsis = description = commands = nested = options = exits = ""
}

# What stands in the page itself, or below the command that is told of in it.
function add(where, text) {
    close_example()
    if (depth > 2)
        nested = nested text
    else if (where == "options")
        options = options text
    else
        description = description text
}

function close_example() {
    if (!in_example)
        return
    in_example = 0
    add("description", ".fi\n.RE\n")
}

FILENAME ~ /sections$/ {
    if ($0 ~ /^#/)
        next
    split($0, field, /\|/)
    rule_pages[++rules] = trim(field[1])
    rule_section[rules] = trim(field[2])
    rule_term[rules] = trim(field[3])
    rule_text[rules] = $0
    sub(/^[^|]*\|[^|]*\|[^|]*\| */, "", rule_text[rules])
    next
}

$1 == "program" {
    close_example()
    depth = split($2, word, / /)
    title = $2
    if (depth < 3) {
        end_page()
        page = title
        sub(/ /, "-", page)
        summary = $3
        sub(/\.$/, "", summary)
    } else
        nested = nested ".SS " plain(title) "\n"
    in_options = 0
}

$1 == "usage" {
    text = "\\fB" plain(title) "\\fR " plain($2) "\n"
    if (depth > 2)
        nested = nested text ".PP\n"
    else
        synopsis = synopsis (synopsis == "" ? "" : ".br\n") text
}

$1 == "about" { add("description", body($2)) }
$1 == "text" { add("description", ".PP\n" body($2)) }
$1 == "group" { add("options", depth > 2 ? ".PP\n" body($2) : ".SS " plain($2) "\n") }
$1 == "option" { add("options", tag($2, $3) body($4)) }
$1 == "command" { commands = commands tag($2, "") body($3) }
$1 == "exit" && depth < 3 { exits = body($2) }
$1 == "exit" && depth > 2 { add("", ".PP\nExit status: " body($2)) }

$1 == "example" {
    if (!in_example)
        add("description", ".PP\n.RS 4\n.nf\n")
    in_example = 1
    if (depth > 2)
        nested = nested plain($2) "\n"
    else
        description = description plain($2) "\n"
}

END {
    close_example()
    end_page()
}
