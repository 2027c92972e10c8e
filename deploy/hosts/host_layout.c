/* host_layout.c - see host_layout.h. */
#include "deploy/hosts/host_layout.h"

#include <stdbool.h>

/* Of one kind, by host. */
typedef struct {
    unsigned of[HOSTS_MAX];
    unsigned total;
    bool any_fixed;
} counts;

static bool is_fixed(const host *h, cluster_role role)
{
    return role == ROLE_PS ? h->fixes_servers : h->fixes_workers;
}

static void take_fixed(const host_table *table, cluster_role role, counts *c)
{
    *c = (counts){.total = 0};
    for (size_t i = 0; i < table->count; i++) {
        const host *h = &table->list[i];
        if (!is_fixed(h, role))
            continue;
        c->any_fixed = true;
        c->of[i] = role == ROLE_PS ? h->servers : h->workers;
        c->total += c->of[i];
    }
}

/* One more to each host that has room, until there are `wanted`; false if there is no room for them. */
static bool deal_out(const host_table *table, cluster_role role, unsigned wanted, counts *c)
{
    for (bool dealt = true; dealt && c->total < wanted;) {
        dealt = false;
        for (size_t i = 0; i < table->count && c->total < wanted; i++) {
            const host *h = &table->list[i];
            if (is_fixed(h, role) || (role == ROLE_WORKER && c->of[i] == h->slots))
                continue;
            c->of[i]++;
            c->total++;
            dealt = true;
        }
    }
    return c->total == wanted;
}

/* How many there are if nobody says so. */
static unsigned usual(const host_table *table, cluster_role role, const counts *fixed)
{
    unsigned number = fixed->total;
    if (role == ROLE_PS && fixed->any_fixed)
        return number;
    for (size_t i = 0; i < table->count; i++)
        if (!is_fixed(&table->list[i], role))
            number += role == ROLE_PS ? 1 : table->list[i].slots;
    return number;
}

static ps_status count_kind(const host_table *table, cluster_role role, unsigned wanted, unsigned most,
                            counts *c, ps_error *error)
{
    const char *kind = role == ROLE_PS ? "ps" : "workers";
    take_fixed(table, role, c);
    const unsigned fixed = c->total, number = wanted > 0 ? wanted : usual(table, role, c);
    if (number == 0)
        return ps_fail(error, PS_ECONFIG, "the hosts get no %s; a cluster needs at least one", kind);
    if (number > most)
        return ps_fail(error, PS_ECONFIG, "%u %s on these hosts; at most %u can be had, give --%s", number,
                       kind, most, kind);
    if (fixed > number)
        return ps_fail(error, PS_ECONFIG, "--%s %u, but hosts fix %u", kind, number, fixed);
    if (deal_out(table, role, number, c))
        return PS_OK;
    return ps_fail(error, PS_ECONFIG, "%u %s, but these hosts have room for %u; give them %s", number, kind,
                   c->total, role == ROLE_PS ? "ps=N" : "slots=N");
}

ps_status host_layout_make(const host_table *table, const host_wishes *wishes, host_layout *layout,
                           ps_error *error)
{
    counts servers, workers;
    ps_status status = count_kind(table, ROLE_PS, wishes->servers, RUN_SERVERS_MAX, &servers, error);
    if (!status)
        status = count_kind(table, ROLE_WORKER, wishes->workers, RUN_WORKERS_MAX, &workers, error);
    if (status)
        return status;
    *layout = (host_layout){.servers = servers.total, .workers = workers.total};
    for (int role = ROLE_PS; role <= ROLE_WORKER; role++) {
        unsigned index = 0;
        for (size_t i = 0; i < table->count; i++) {
            const unsigned here = role == ROLE_PS ? servers.of[i] : workers.of[i];
            const unsigned before = role == ROLE_PS ? 0 : servers.of[i];
            if (wishes->port + before + here > UINT16_MAX + 1)
                return ps_fail(error, PS_ECONFIG, "--port %u: host %.100s has no ports above it for %u tasks",
                               (unsigned)wishes->port, table->list[i].address, before + here);
            for (unsigned k = 0; k < here; k++)
                layout->list[layout->count++] = (host_task){.role = (cluster_role)role,
                                                            .index = index++,
                                                            .host = &table->list[i],
                                                            .port = (uint16_t)(wishes->port + before + k)};
        }
    }
    return PS_OK;
}
