/* allow_list.c - see allow_list.h. */
#include "common/allow_list.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/options.h"
#include "common/text_lines.h"

enum { INDEX_DIGITS = 10 };

/* "worker", "worker:3", ... */
static ps_status parse_who(const char *who, size_t length, allow_entry *entry, ps_error *error)
{
    static const struct {
        const char *name;
        wire_role role;
        bool has_index;
    } words[] = {
        {"worker", WIRE_WORKER, true},
        {"evaluator", WIRE_EVALUATOR, true},
        {"chief", WIRE_WORKER, false},
        {"admin", WIRE_ADMINISTRATOR, false},
    };
    const char *colon = memchr(who, ':', length);
    const size_t name_length = colon ? (size_t)(colon - who) : length;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].name) != name_length || strncmp(who, words[i].name, name_length) != 0)
            continue;
        entry->role = words[i].role;
        entry->any = !colon;
        if (!colon)
            return PS_OK;
        char digits[INDEX_DIGITS + 1] = "";
        const size_t count = length - name_length - 1;
        uint64_t index = 0;
        ps_error ignored;
        if (!words[i].has_index || count > INDEX_DIGITS)
            break;
        memcpy(digits, colon + 1, count);
        if (option_unsigned("index", digits, 0, JOB_WORKERS_MAX - 1, &index, &ignored) != PS_OK)
            break;
        entry->index = (uint32_t)index;
        return PS_OK;
    }
    return ps_fail(error, PS_ECONFIG,
                   "'%.*s' is none of: chief, worker, worker:INDEX, evaluator, evaluator:INDEX, admin",
                   length < 40 ? (int)length : 40, who);
}

static ps_status parse_line(const char *line, size_t length, allow_entry *entry, ps_error *error)
{
    *entry = (allow_entry){.role = WIRE_WORKER};
    const char *space = memchr(line, ' ', length);
    if (!space)
        return ps_fail(error, PS_ECONFIG, "a line is: who, a space, and a public key");
    const size_t key_length = length - (size_t)(space + 1 - line);
    if (!key_is_valid(space + 1, key_length))
        return ps_fail(error, PS_ECONFIG, "what follows the space is no key of %d characters", KEY_TEXT);
    memcpy(entry->key, space + 1, KEY_TEXT);
    return parse_who(line, (size_t)(space - line), entry, error);
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const allow_entry *)a)->key, ((const allow_entry *)b)->key);
}

/* Sorts, and refuses a key that stands there twice: of two rights one would be overlooked. */
static ps_status settle(allow_list *list, ps_error *error)
{
    if (list->count > 0)
        qsort(list->entries, list->count, sizeof *list->entries, compare);
    for (uint32_t i = 1; i < list->count; i++)
        if (strcmp(list->entries[i - 1].key, list->entries[i].key) == 0)
            return ps_fail(error, PS_ECONFIG, "the key %s is listed twice", list->entries[i].key);
    return PS_OK;
}

static uint32_t line_number(const char *text, const char *line)
{
    uint32_t number = 1;
    for (; text < line; text++)
        number += *text == '\n';
    return number;
}

ps_status allow_list_parse(const char *text, size_t bytes, allow_list *list, ps_error *error)
{
    text_lines lines = {text, text + bytes};
    const char *line;
    size_t length;
    ps_status status = PS_OK;
    *list = (allow_list){.entries = malloc(ALLOW_LIST_KEYS_MAX * sizeof *list->entries)};
    if (!list->entries)
        return ps_fail(error, PS_ENOMEM, "out of memory for the keys");
    while (status == PS_OK && text_lines_next(&lines, &line, &length)) {
        ps_error why;
        if (list->count == ALLOW_LIST_KEYS_MAX)
            status = ps_fail(error, PS_ELIMIT, "more than %d keys", ALLOW_LIST_KEYS_MAX);
        else if ((status = parse_line(line, length, &list->entries[list->count], &why)) != PS_OK)
            ps_fail(error, status, "line %u: %s", line_number(text, line), why.text);
        else
            list->count++;
    }
    if (status == PS_OK)
        status = settle(list, error);
    if (status != PS_OK)
        allow_list_fini(list);
    return status;
}

ps_status allow_list_read(const char *path, allow_list *list, ps_error *error)
{
    char *text;
    size_t bytes;
    struct stat about;
    *list = (allow_list){0};
    ps_status status = file_read_regular(path, ALLOW_LIST_BYTES_MAX, &text, &bytes, &about, error);
    if (status != PS_OK)
        return status;
    ps_error why;
    if (about.st_mode & S_IWOTH)
        status = ps_fail(&why, PS_ECONFIG, "anybody may write to it (mode %04o): chmod o-w",
                         (unsigned)about.st_mode & 07777);
    else
        status = allow_list_parse(text, bytes, list, &why);
    free(text);
    return status == PS_OK ? PS_OK : ps_fail(error, status, "%s: %s", path, why.text);
}

void allow_list_fini(allow_list *list)
{
    free(list->entries);
    *list = (allow_list){0};
}

const allow_entry *allow_list_find(const allow_list *list, const char *key)
{
    allow_entry wanted = {.any = false};
    if (strlen(key) != KEY_TEXT || list->count == 0)
        return NULL;
    memcpy(wanted.key, key, sizeof wanted.key);
    return bsearch(&wanted, list->entries, list->count, sizeof *list->entries, compare);
}

bool allow_entry_covers(const allow_entry *entry, wire_role role, uint32_t index)
{
    return entry->role == role && (entry->any || entry->index == index);
}
