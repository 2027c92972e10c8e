/* trace_merge.c - see trace_merge.h. */
#include "deploy/trace/trace_merge.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/path.h"
#include "deploy/trace/trace_flow.h"
#include "deploy/trace/trace_part.h"

/* ---- which parts ---- */

static ps_status add_one(trace_paths *paths, const char *path, ps_error *error)
{
    if (paths->count == TRACE_PARTS_MAX)
        return ps_fail(error, PS_ELIMIT, "more than %d parts of a trace", TRACE_PARTS_MAX);
    char *copy = strdup(path);
    if (!copy)
        return ps_fail(error, PS_ENOMEM, "out of memory for the names of parts");
    paths->paths[paths->count++] = copy;
    return PS_OK;
}

static bool has_ending(const char *name)
{
    const size_t length = strlen(name), ending = strlen(TRACE_PART_ENDING);
    return length > ending && strcmp(name + length - ending, TRACE_PART_ENDING) == 0;
}

static ps_status add_folder(trace_paths *paths, const char *folder, ps_error *error)
{
    char path[PATH_BYTES];
    ps_status status = PS_OK;
    DIR *dir = opendir(folder);
    if (!dir)
        return ps_fail(error, PS_EIO, "cannot read the folder %s: %s", folder, strerror(errno));
    for (struct dirent *entry; status == PS_OK && (entry = readdir(dir));) {
        if (!has_ending(entry->d_name))
            continue;
        status = path_make(path, error, "%s/%s", folder, entry->d_name);
        if (status == PS_OK)
            status = add_one(paths, path, error);
    }
    closedir(dir);
    return status;
}

ps_status trace_paths_add(trace_paths *paths, const char *path, ps_error *error)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return ps_fail(error, errno == ENOENT ? PS_ENOENT : PS_EIO, "cannot read %s: %s", path,
                       strerror(errno));
    return S_ISDIR(info.st_mode) ? add_folder(paths, path, error) : add_one(paths, path, error);
}

void trace_paths_remove(const trace_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        unlink(paths->paths[i]);
}

void trace_paths_fini(trace_paths *paths)
{
    while (paths->count > 0)
        free(paths->paths[--paths->count]);
}

/* ---- reading ---- */

/* Ps first, then those who train, then those who test; several lives of one as they came. */
static int compare_parts(const void *left, const void *right)
{
    const trace_head *a = &((const trace_part *)left)->head, *b = &((const trace_part *)right)->head;
    if (a->role != b->role)
        return a->role < b->role ? -1 : 1;
    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    return a->incarnation < b->incarnation ? -1 : a->incarnation > b->incarnation;
}

static ps_status read_parts(const trace_paths *paths, trace_part *parts, trace_complain *complain,
                            void *context, trace_summary *summary, ps_error *error)
{
    char line[PATH_BYTES + 256];
    ps_error why;
    for (size_t i = 0; i < paths->count; i++) {
        trace_part *p = &parts[summary->used];
        ps_status status = trace_part_read(paths->paths[i], p, &why);
        if (status == PS_ENOMEM)
            return ps_fail(error, status, "%s", why.text);
        if (status != PS_OK) {
            snprintf(line, sizeof line, "%s; it is left out", why.text);
            complain(context, line);
            continue;
        }
        summary->used++;
        summary->lost += p->lost;
        if (p->cut[0]) {
            snprintf(line, sizeof line, "%s: %s", paths->paths[i], p->cut);
            complain(context, line);
        }
    }
    if (summary->used == 0)
        return ps_fail(error, PS_EFORMAT, "there is no part of a trace that can be used");
    qsort(parts, summary->used, sizeof *parts, compare_parts);
    return PS_OK;
}

/* ---- writing ---- */

typedef struct {
    const trace_part *parts;
    const trace_flows *flows;
    trace_summary *summary;
} writing;

static ps_status write_json(FILE *out, void *context, ps_error *error)
{
    const writing *w = context;
    trace_summary *s = w->summary;
    const ps_status status = trace_json_write(out, w->parts, s->used, w->flows, &s->clocks, &s->written);
    return status == PS_OK ? PS_OK : ps_fail(error, status, "out of memory for a trace");
}

ps_status trace_merge(const trace_paths *paths, const char *output, trace_complain *complain, void *context,
                      trace_summary *summary, ps_error *error)
{
    trace_flows flows = {.count = 0};
    *summary = (trace_summary){.used = 0};
    trace_part *parts = calloc(paths->count + 1, sizeof *parts);
    if (!parts)
        return ps_fail(error, PS_ENOMEM, "out of memory for a trace");
    ps_status status = read_parts(paths, parts, complain, context, summary, error);
    if (status == PS_OK) {
        status = trace_clock_align(parts, summary->used, &summary->clocks);
        if (status == PS_OK)
            status = trace_flow_find(parts, summary->used, &flows);
        if (status != PS_OK)
            ps_fail(error, status, "out of memory for a trace");
    }
    writing w = {parts, &flows, summary};
    if (status == PS_OK)
        status = file_write_atomic_stream(output, write_json, &w, error);
    summary->without_push = flows.applied_alone;
    trace_flow_fini(&flows);
    for (size_t i = 0; i < summary->used; i++)
        trace_part_fini(&parts[i]);
    free(parts);
    return status;
}

void trace_summary_describe(const trace_summary *s, char *text, size_t bytes)
{
    char clocks[128] = "", lost[64] = "";
    if (s->clocks.hosts > s->clocks.by_calendar + 1)
        snprintf(clocks, sizeof clocks, "; clocks of %u hosts agree within %.0f us",
                 s->clocks.hosts - s->clocks.by_calendar, (double)s->clocks.uncertain_ns * 1e-3);
    if (s->clocks.by_calendar > 0)
        snprintf(clocks + strlen(clocks), sizeof clocks - strlen(clocks), "; %u hosts only by their calendar",
                 s->clocks.by_calendar);
    if (s->lost > 0)
        snprintf(lost, sizeof lost, "; %llu events were dropped", (unsigned long long)s->lost);
    snprintf(text, bytes, "%zu processes, %llu spans, %llu marks, %llu flows%s%s", s->used,
             (unsigned long long)s->written.spans, (unsigned long long)s->written.marks,
             (unsigned long long)s->written.flows, clocks, lost);
}
