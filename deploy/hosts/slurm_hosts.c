/* slurm_hosts.c - see slurm_hosts.h. */
#include "deploy/hosts/slurm_hosts.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"

#define NODES "SLURM_JOB_NODELIST"
#define TASKS "SLURM_TASKS_PER_NODE"

enum { DIGITS_MAX = 9, BRACKETS_MAX = 4 /* of one name */ };

/* ---- nodes ------------------------------------------------------------------------------------------ */

/* A name under way: what has been written of it, before what follows in the list. */
typedef struct {
    host_table *table;
    char name[HOST_NAME_BYTES];
    unsigned brackets;
} expansion;

static ps_status expand(expansion *e, size_t used, const char *at, const char *end, ps_error *error);

/* Up to DIGITS_MAX digits, of at[..end). */
static bool take_number(const char **at, const char *end, unsigned *number, int *width)
{
    const char *begin = *at;
    *number = 0;
    for (; *at < end && **at >= '0' && **at <= '9' && *at - begin < DIGITS_MAX; ++*at)
        *number = *number * 10 + (unsigned)(**at - '0');
    *width = (int)(*at - begin);
    return *width > 0;
}

/* One "01-03" or "7" of a bracket: each number, as wide as the first is written, and what follows the
 * bracket. */
static ps_status expand_range(expansion *e, size_t used, const char *at, const char *range_end,
                              const char *rest, const char *end, ps_error *error)
{
    unsigned first, last;
    int width, last_width;
    const char *begin = at;
    bool good = take_number(&at, range_end, &first, &width);
    last = first;
    if (good && at < range_end && *at == '-') {
        at++;
        good = take_number(&at, range_end, &last, &last_width);
    }
    if (!good || at != range_end || last < first)
        return ps_fail(error, PS_ECONFIG, NODES ": \"%.*s\" in brackets is no number or range such as 01-03",
                       (int)(range_end - begin), begin);
    if (last - first >= HOSTS_MAX)
        return ps_fail(error, PS_ECONFIG, NODES ": more than %d hosts", HOSTS_MAX);
    for (unsigned number = first; number <= last; number++) {
        const int length = snprintf(e->name + used, sizeof e->name - used, "%0*u", width, number);
        if ((size_t)length >= sizeof e->name - used)
            return ps_fail(error, PS_ECONFIG, NODES ": a name has more than %d characters",
                           HOST_NAME_BYTES - 1);
        const ps_status status = expand(e, used + (size_t)length, rest, end, error);
        if (status)
            return status;
    }
    return PS_OK;
}

/* at[..end) is what follows the first `used` bytes of the name: "[01-03,7]-ib", or nothing. */
static ps_status expand(expansion *e, size_t used, const char *at, const char *end, ps_error *error)
{
    const char *open = memchr(at, '[', (size_t)(end - at));
    const char *plain_end = open ? open : end;
    const size_t plain = (size_t)(plain_end - at);
    ps_error cause;
    if (used + plain >= sizeof e->name)
        return ps_fail(error, PS_ECONFIG, NODES ": a name has more than %d characters", HOST_NAME_BYTES - 1);
    memcpy(e->name + used, at, plain);
    used += plain;
    if (!open) {
        if (host_table_add(e->table, e->name, used, &cause) != PS_OK)
            return ps_fail(error, PS_ECONFIG, NODES ": %s", cause.text);
        return PS_OK;
    }
    const char *close = memchr(open, ']', (size_t)(end - open));
    if (!close || e->brackets == BRACKETS_MAX)
        return ps_fail(error, PS_ECONFIG,
                       close ? NODES ": more than %d brackets in a name" : NODES ": a ']' is missing",
                       BRACKETS_MAX);
    e->brackets++;
    ps_status status = PS_OK;
    for (const char *range = open + 1; status == PS_OK && range <= close;) {
        const char *comma = memchr(range, ',', (size_t)(close - range));
        const char *range_end = comma ? comma : close;
        status = expand_range(e, used, range, range_end, close + 1, end, error);
        range = range_end + 1;
    }
    e->brackets--;
    return status;
}

/* The next part of a list, up to a comma outside brackets. */
static const char *part_end(const char *at)
{
    unsigned depth = 0;
    for (; *at && (*at != ',' || depth > 0); at++) {
        depth += *at == '[';
        depth -= *at == ']' && depth > 0;
    }
    return at;
}

static ps_status read_nodes(const char *nodes, host_table *table, ps_error *error)
{
    expansion e = {.table = table};
    table->count = 0;
    if (!nodes || !*nodes)
        return ps_fail(error, PS_ECONFIG, NODES " is not set: this is no job of Slurm");
    for (const char *at = nodes;;) {
        const char *end = part_end(at);
        const ps_status status = expand(&e, 0, at, end, error);
        if (status || !*end)
            return status;
        at = end + 1;
    }
}

/* ---- tasks ------------------------------------------------------------------------------------------ */

/* "2(x3),1": three nodes with two tasks each, and one with one. Into `slots`. */
static ps_status read_tasks(const char *text, host_table *table, ps_error *error)
{
    const char *end = text + strlen(text);
    size_t node = 0;
    for (const char *at = text; at <= end; at++) {
        unsigned tasks = 0, times = 1;
        int width;
        bool good = take_number(&at, end, &tasks, &width);
        if (good && strncmp(at, "(x", 2) == 0) {
            at += 2;
            good = take_number(&at, end, &times, &width) && *at == ')';
            at += good;
        }
        if (!good || (*at && *at != ',') || tasks == 0 || tasks > HOST_TASKS_MAX)
            return ps_fail(error, PS_ECONFIG, TASKS ": \"%.60s\" is not such as 2(x3),1", text);
        if (times > table->count - node)
            return ps_fail(error, PS_ECONFIG, TASKS ": \"%.60s\" is of more than the %zu nodes of " NODES,
                           text, table->count);
        for (; times > 0; times--)
            table->list[node++].slots = tasks;
    }
    if (node < table->count)
        return ps_fail(error, PS_ECONFIG, TASKS ": \"%.60s\" is of %zu nodes, but " NODES " has %zu", text,
                       node, table->count);
    return PS_OK;
}

/* So many in all, the first nodes one more if they do not come out even. */
static ps_status deal_tasks(const char *text, host_table *table, ps_error *error)
{
    uint64_t number;
    ps_error cause;
    if (!text)
        return ps_fail(error, PS_ECONFIG, "neither " TASKS " nor SLURM_NTASKS is set; give --ntasks");
    if (option_unsigned("SLURM_NTASKS", text, table->count, HOSTS_MAX, &number, &cause) != PS_OK)
        return ps_fail(error, PS_ECONFIG, "%s: one a node at least", cause.text + strlen("--"));
    for (size_t i = 0; i < table->count; i++)
        table->list[i].slots = (unsigned)(number / table->count + (i < number % table->count));
    return PS_OK;
}

ps_status slurm_hosts(const slurm_job *job, unsigned servers, host_table *table, ps_error *error)
{
    ps_status status = read_nodes(job->nodes, table, error);
    if (!status)
        status = job->tasks_per_node ? read_tasks(job->tasks_per_node, table, error)
                                     : deal_tasks(job->tasks, table, error);
    if (status)
        return status;

    unsigned tasks = 0, roomy = 0, placed = 0;
    for (size_t i = 0; i < table->count; i++) {
        host *h = &table->list[i];
        h->fixes_servers = h->fixes_workers = true;
        tasks += h->slots;
        roomy += h->slots > 1;
    }
    const unsigned wanted = servers > 0 ? servers : roomy > 0 ? roomy : 1;
    if (wanted >= tasks)
        return ps_fail(error, PS_ECONFIG, "%u of the job's %u tasks are to be ps, and none is left to train",
                       wanted, tasks);
    /* Beside a worker as long as there is such a place, so that a node of one task trains. */
    for (unsigned beside = 1; placed < wanted;) {
        const unsigned before = placed;
        for (size_t i = 0; i < table->count && placed < wanted; i++)
            if (table->list[i].servers + beside < table->list[i].slots) {
                table->list[i].servers++;
                placed++;
            }
        beside = placed == before ? 0 : beside;
    }
    for (size_t i = 0; i < table->count; i++)
        table->list[i].workers = table->list[i].slots - table->list[i].servers;
    return PS_OK;
}
