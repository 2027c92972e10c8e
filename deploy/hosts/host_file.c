/* host_file.c - see host_file.h. */
#include "deploy/hosts/host_file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"
#include "common/options.h"
#include "common/text_lines.h"

#define BLANKS " \t"

enum { WORD_MAX = HOST_NAME_BYTES };

/* Of a login; none begins with '-', which ssh would take for an option. */
static bool is_user(const char *text, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return length > 0 && text[0] != '-' && strspn(text, allowed) >= length;
}

/* By the rules for the hosts of a cluster spec, and in the spelling that those compare. */
static ps_status spell_address(char *name, size_t bytes, ps_error *error)
{
    char with_port[HOST_NAME_BYTES + 8];
    address parsed;
    snprintf(with_port, sizeof with_port, strchr(name, ':') ? "[%s]:1" : "%s:1", name);
    const ps_status status = address_parse(with_port, &parsed, error);
    if (status)
        return status;
    if ((size_t)snprintf(name, bytes, "%s", parsed.host) >= bytes)
        return ps_fail(error, PS_EINVAL, "it is too long");
    return PS_OK;
}

ps_status host_table_add(host_table *table, const char *name, size_t length, ps_error *error)
{
    ps_error cause;
    if (table->count == HOSTS_MAX)
        return ps_fail(error, PS_ECONFIG, "more than %d hosts", HOSTS_MAX);
    host *added = &table->list[table->count];
    if (length >= sizeof added->name)
        return ps_fail(error, PS_ECONFIG, "\"%.60s\"... is no name of a host: it has %zu characters", name,
                       length);
    *added = (host){.slots = HOST_DEFAULT_SLOTS};
    memcpy(added->name, name, length);
    added->name[length] = '\0';
    char *at = strrchr(added->name, '@');
    char *own = at ? at + 1 : added->name;
    added->address = own;
    if (at && !is_user(added->name, (size_t)(at - added->name)))
        return ps_fail(error, PS_ECONFIG, "\"%.100s\": no login stands before the '@'", added->name);
    if (spell_address(own, sizeof added->name - (size_t)(own - added->name), &cause) != PS_OK)
        return ps_fail(error, PS_ECONFIG, "\"%.100s\" is no host: %s", added->name, cause.text);
    for (size_t i = 0; i < table->count; i++)
        if (strcasecmp(table->list[i].address, added->address) == 0)
            return ps_fail(error, PS_ECONFIG, "host %.100s is there twice; give it more slots instead",
                           added->address);
    table->count++;
    return PS_OK;
}

/* key=value behind the name of a host. */
static ps_status take_setting(char *word, host *of, ps_error *error)
{
    char *value = strchr(word, '=');
    uint64_t number;
    ps_error cause;
    if (value)
        *value++ = '\0';
    const bool slots = value && strcmp(word, "slots") == 0;
    const bool servers = value && strcmp(word, "ps") == 0;
    const bool workers = value && strcmp(word, "worker") == 0;
    if (!slots && !servers && !workers)
        return ps_fail(error, PS_ECONFIG, "\"%.60s%s\" is none of slots=N, ps=N and worker=N", word,
                       value ? "=..." : "");
    if (option_unsigned(word, value, slots ? 1 : 0, HOST_TASKS_MAX, &number, &cause) != PS_OK)
        return ps_fail(error, PS_ECONFIG, "%s", cause.text + strlen("--"));
    if (slots)
        of->slots = (unsigned)number;
    of->fixes_servers |= servers;
    of->fixes_workers |= workers;
    if (servers)
        of->servers = (unsigned)number;
    if (workers)
        of->workers = (unsigned)number;
    return PS_OK;
}

/* What stands on a line, up to a '#'. */
static ps_status take_line(const char *line, size_t length, host_table *table, ps_error *error)
{
    const char *comment = memchr(line, '#', length);
    const char *end = comment ? comment : line + length;
    host *of = NULL;
    for (const char *at = line; at < end;) {
        const char *begin = at;
        while (at < end && !strchr(BLANKS, *at))
            at++;
        const size_t word_length = (size_t)(at - begin);
        ps_status status = PS_OK;
        if (word_length > 0 && !of) {
            status = host_table_add(table, begin, word_length, error);
            of = status == PS_OK ? &table->list[table->count - 1] : NULL;
        } else if (word_length > 0) {
            char word[WORD_MAX];
            snprintf(word, sizeof word, "%.*s", (int)word_length, begin);
            status = take_setting(word, of, error);
        }
        if (status)
            return status;
        at += at < end;
    }
    return PS_OK;
}

static unsigned line_number(const char *text, const char *line)
{
    unsigned number = 1;
    for (; text < line; text++)
        number += *text == '\n';
    return number;
}

ps_status host_file_parse(const char *text, size_t bytes, const char *source, host_table *table,
                          ps_error *error)
{
    text_lines lines = {text, text + bytes};
    const char *line;
    size_t length;
    ps_error cause;
    table->count = 0;
    while (text_lines_next(&lines, &line, &length))
        if (take_line(line, length, table, &cause) != PS_OK)
            return ps_fail(error, PS_ECONFIG, "%s: line %u: %s", source, line_number(text, line), cause.text);
    if (table->count == 0)
        return ps_fail(error, PS_ECONFIG, "%s: no host is in it", source);
    return PS_OK;
}

ps_status host_file_read(const char *path, host_table *table, ps_error *error)
{
    char *text;
    size_t bytes;
    ps_error cause;
    ps_status status = file_read(path, HOST_FILE_MAX, &text, &bytes, &cause);
    if (status)
        return ps_fail(error, status == PS_ENOMEM ? status : PS_ECONFIG, "%s", cause.text);
    status = host_file_parse(text, bytes, path, table, error);
    free(text);
    return status;
}
