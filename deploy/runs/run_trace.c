/* run_trace.c - see run_trace.h. */
#include "deploy/runs/run_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/file.h"
#include "deploy/trace/trace_merge.h"

static ps_status list_parts(const run_folder *folder, char path[RUN_PATH_MAX], trace_paths *paths,
                            ps_error *error)
{
    ps_status status = run_folder_path(folder, "trace", "", "", path, error);
    return status == PS_OK ? trace_paths_add(paths, path, error) : status;
}

ps_status run_trace_begin(const run_folder *folder, char path[RUN_PATH_MAX], ps_error *error)
{
    trace_paths *old = calloc(1, sizeof *old);
    if (!old)
        return ps_fail(error, PS_ENOMEM, "out of memory for a trace");
    ps_status status = list_parts(folder, path, old, error);
    if (status == PS_OK)
        trace_paths_remove(old);
    else if (status == PS_ENOENT)
        status = file_make_folder(path, error);
    trace_paths_fini(old);
    free(old);
    return status;
}

static void complain(void *context, const char *line)
{
    const char *title = context;
    fprintf(stderr, "%s: trace: %s\n", title, line);
}

ps_status run_trace_end(const char *title, const run_folder *folder, const char *output, char *text,
                        size_t bytes, ps_error *error)
{
    char path[RUN_PATH_MAX];
    trace_summary summary;
    trace_paths *paths = calloc(1, sizeof *paths);
    if (!paths)
        return ps_fail(error, PS_ENOMEM, "out of memory for a trace");
    ps_status status = list_parts(folder, path, paths, error);
    if (status == PS_OK)
        status = trace_merge(paths, output, complain, (void *)(uintptr_t)title, &summary, error);
    if (status == PS_OK) {
        trace_paths_remove(paths);
        rmdir(path);
        trace_summary_describe(&summary, text, bytes);
    }
    trace_paths_fini(paths);
    free(paths);
    return status;
}
