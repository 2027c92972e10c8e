# read.awk - what a --help says, as one record a line: its kind, and fields between tabs. The manual pages (man.awk) and
# the completions of shells (bash.awk, fish.awk) are made of these records, and so of what the programs say themselves.
#
#   usage TEXT                       a way to call it, without its name
#   about TEXT
#   group TITLE                      of the options that follow
#   option NAMES ARGUMENT TEXT       NAMES as "-q --quiet"; ARGUMENT may be empty; \n in TEXT is a new line
#   command NAME SUMMARY
#   text TEXT                        a paragraph
#   example LINE                     to be shown as it stands
#   exit TEXT                        what exit codes mean
#
# Reads what argp prints with ARGP_HELP_FMT=rmargin=10000,opt-doc-col=60: no line is broken but where the text has a new
# line. With -v by_hand=1 the text of a script, whose lines are broken at a margin.

function emit(kind, text) {
    gsub(/\t/, " ", text)
    print kind "\t" text
}

function end_option() {
    if (names != "")
        print "option\t" names "\t" argument "\t" about_option
    names = ""
}

# "  -n, --top=N   text", or by hand "  --data DIR  text".
function begin_option(line,    parts, count, i, each, cut) {
    end_option()
    sub(/^ +/, "", line)
    cut = match(line, /  +/)
    about_option = cut ? substr(line, cut + RLENGTH) : ""
    if (cut)
        line = substr(line, 1, cut - 1)
    argument = ""
    count = split(line, parts, /, /)
    for (i = 1; i <= count; i++) {
        each = parts[i]
        # An argument with a comma, as in --hidden=N,N,... or --rows=FIRST[-LAST], is no further name.
        if (match(each, /[= []/)) {
            argument = substr(each, RSTART)
            sub(/^[= ]/, "", argument)
            each = substr(each, 1, RSTART - 1)
        }
        names = names (names == "" ? "" : " ") each
    }
}

function end_paragraph() {
    if (paragraph == "")
        return
    if (paragraph ~ /^Exit (status|codes?): /) {
        sub(/^Exit (status|codes?): /, "", paragraph)
        emit("exit", paragraph)
    } else if (!have_about) {
        emit("about", paragraph)
        have_about = 1
    } else
        emit("text", paragraph)
    paragraph = ""
}

/^(Usage|  or): / && !have_about {
    sub(/^(Usage:|  or: ) /, "")
    sub("^" program " *", "")
    emit("usage", $0)
    next
}

/^$/ {
    end_option()
    end_paragraph()
    in_commands = 0
    next
}

/^ +-[-?A-Za-z]/ && paragraph == "" {
    begin_option($0)
    next
}

names != "" {
    sub(/^ +/, "")
    about_option = about_option (by_hand ? " " : "\\n") $0
    next
}

/^Mandatory or optional arguments to long options/ { next }
/^Commands:$/ { in_commands = 1; next }

in_commands {
    name = $1
    sub(/^ *[^ ]+ +/, "")
    print "command\t" name "\t" $0
    next
}

/^ [^ ]/ {
    sub(/^ /, "")
    sub(/:$/, "")
    emit("group", $0)
    next
}

/^  / {
    end_paragraph()
    emit("example", substr($0, 3))
    next
}

# Of a script: "Exit codes: ..." may follow the line before without a blank one.
{
    if (paragraph != "" && $0 ~ /^Exit (status|codes?): /)
        end_paragraph()
    paragraph = paragraph (paragraph == "" ? "" : " ") $0
}

END {
    end_option()
    end_paragraph()
}
