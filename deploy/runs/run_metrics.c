/* run_metrics.c - see run_metrics.h. */
#include "deploy/runs/run_metrics.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/path.h"
#include "deploy/runs/run_record.h"

enum { LINE_BYTES_MAX = 4096 };

/* Whose the lines are that follow: true if this one says. */
static bool says_whose(const json *metric, const char *id, bool *ours)
{
    const char *event, *run;
    if (json_as_string(json_find(metric, "event"), "event", &event, NULL) != PS_OK ||
        strcmp(event, "run") != 0 || json_as_string(json_find(metric, "run"), "run", &run, NULL) != PS_OK)
        return false;
    *ours = strcmp(run, id) == 0;
    return true;
}

ps_status run_metrics_read(const char *folder, const char *id, run_metrics_handler *take, void *context,
                           ps_error *error)
{
    const json_options options = {.source = RUN_METRICS_FILE, .max_bytes = LINE_BYTES_MAX};
    char path[PATH_BYTES], *line = NULL;
    size_t room = 0;
    bool ours = false;
    ps_status status = path_make(path, error, "%s/" RUN_METRICS_FILE, folder);
    FILE *file = status == PS_OK ? fopen(path, "re") : NULL;
    if (!file)
        return status != PS_OK || errno == ENOENT ? status : path_fail(error, "read", path);
    for (ssize_t length; (length = getline(&line, &room, file)) > 0;) {
        json *metric = NULL;
        /* One that is being written, or was not written to its end, is passed over. */
        if (line[length - 1] != '\n')
            break;
        line[--length] = '\0';
        if (json_parse(line, (size_t)length, &options, &metric, NULL, NULL) == PS_OK &&
            !says_whose(metric, id, &ours) && ours)
            take(context, line, metric);
        json_free(&metric);
    }
    free(line);
    fclose(file);
    return PS_OK;
}
