/* cluster.c - questions to a checked cluster_spec. cluster_parse.c makes one. */
#include "common/cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"

const char *cluster_role_name(cluster_role role)
{
    static const char *const names[CLUSTER_ROLES] = {"ps", "worker", "chief", "evaluator"};
    return names[role];
}

void cluster_fini(cluster_spec *spec)
{
    for (size_t role = 0; role < CLUSTER_ROLES; role++)
        free(spec->jobs[role].tasks);
    memset(spec, 0, sizeof *spec);
}

const cluster_task *cluster_find(const cluster_spec *spec, cluster_role role, uint32_t index)
{
    const cluster_job *job = &spec->jobs[role];
    for (uint32_t i = 0; i < job->count; i++)
        if (job->tasks[i].index == index)
            return &job->tasks[i];
    return NULL;
}

uint32_t cluster_workers(const cluster_spec *spec)
{
    if (!spec->present)
        return 1;
    return spec->jobs[ROLE_WORKER].dense ? spec->jobs[ROLE_WORKER].count + spec->jobs[ROLE_CHIEF].count : 0;
}

typedef struct {
    char *text;
    size_t bytes; /* left, with the terminating zero */
} cursor;

__attribute__((format(printf, 2, 3))) static void append(cursor *at, const char *format, ...)
{
    if (at->bytes == 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    const int wanted = vsnprintf(at->text, at->bytes, format, arguments);
    va_end(arguments);
    const size_t written = wanted < 0 ? 0 : (size_t)wanted < at->bytes ? (size_t)wanted : at->bytes - 1;
    at->text += written;
    at->bytes -= written;
}

void cluster_describe(const cluster_spec *spec, char *text, size_t bytes)
{
    cursor at = {text, bytes};
    append(&at, "cluster  %s\n",
           !spec->present ? "none: this process trains alone"
           : spec->sparse ? "sparse: there may be more tasks than are listed"
                          : "dense: every task is listed");
    for (size_t role = 0; role < CLUSTER_ROLES; role++) {
        for (uint32_t i = 0; i < spec->jobs[role].count; i++) {
            const cluster_task *task = &spec->jobs[role].tasks[i];
            char where[ADDRESS_TEXT_MAX + 16];
            address_format(task->host, task->port, where, sizeof where);
            append(&at, "         %s/%u  %s\n", cluster_role_name((cluster_role)role), (unsigned)task->index,
                   where);
        }
    }
    append(&at, "task     %s/%u\n", cluster_role_name(spec->role), (unsigned)spec->index);
    append(&at, "chief    %s/0%s\n", spec->jobs[ROLE_CHIEF].count > 0 ? "chief" : "worker",
           spec->is_chief ? ", this task" : "");
    if (spec->role == ROLE_WORKER || spec->role == ROLE_CHIEF)
        append(&at, "rank     %u\n", (unsigned)spec->rank);
}
