# values.awk - what an option's argument may be, as far as its name and its help tell: for completions of shells.

# "file", "folder", or "".
function kind_of(argument) {
    if (argument ~ /DIR|FOLDER/)
        return "folder"
    return argument ~ /FILE/ ? "file" : ""
}

# The words of "relu (default), tanh or none", or "" if the help has no such list. It may stand after a colon, or before
# one or a semicolon.
function choices_of(argument, help,    part, parts, i) {
    if (argument !~ /^(NAME|LEVEL|FORMAT|WHEN|MODE|NET)$/)
        return ""
    gsub(/ \([^)]*\)/, "", help)
    parts = split(help, part, /[:;] /)
    for (i = parts; i > 0; i--)
        if (part[i] ~ /^([a-z0-9-]+,? (or )?)+[a-z0-9-]+$/ && part[i] ~ /( or |, or )[a-z0-9-]+$/ && is_list(part[i]))
            return words
    return ""
}

# Whether words are separated by commas and one `or' only; they are in `words' then.
function is_list(text,    item, items, i) {
    gsub(/,? or /, ", ", text)
    items = split(text, item, /, /)
    words = ""
    for (i = 1; i <= items; i++) {
        if (item[i] ~ / /)
            return 0
        words = words (i > 1 ? " " : "") item[i]
    }
    return items > 1
}

# Whose options follow the first `--' of a usage.
function after_dashes(usage) {
    if (usage ~ /-- RUN OPTIONS/)
        return "penstock run"
    return usage ~ /-- TRAINING OPTIONS/ ? "penstock-worker" : ""
}
