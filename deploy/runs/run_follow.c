/* run_follow.c - see run_follow.h. */
#include "deploy/runs/run_follow.h"

#include <time.h>

#include "common/clock.h"
#include "deploy/registry/registry_command.h"
#include "deploy/runs/run_logs.h"

enum {
    LOOK_EVERY_MS = 100, /* at the logs */
    ASK_EVERY_MS = 500,  /* the registry whether it is over */
};

static ps_status ask(const char *title, const char *folder, const char *id, run_rows *rows, ps_error *error)
{
    registry r = {0};
    run_rows_free(rows);
    ps_status status = registry_command_open(title, folder, REGISTRY_MUST_EXIST, &r, error);
    if (status == PS_OK)
        status = run_history_refresh(&r, error);
    if (status == PS_OK)
        status = run_history_find(&r, id, rows, error);
    registry_close(&r);
    return status;
}

ps_status run_follow(const char *title, const char *folder, const char *id, const run_follow_options *options,
                     run_rows *ended, ps_error *error)
{
    run_rows rows = {0};
    run_logs *logs = NULL;
    char run[PATH_BYTES];
    uint64_t asked_ms = clock_monotonic_ms();
    ps_status status = ask(title, folder, id, &rows, error);
    if (status == PS_OK)
        status = path_make(run, error, "%s", rows.rows[0].folder);
    if (status == PS_OK && options->shows)
        status = run_logs_open(run, options->only, &logs, error);
    while (status == PS_OK) {
        /* What was written before it was over is there when it is seen to be over. */
        const bool last = !options->waits || run_phase_is_over(rows.rows[0].phase);
        const bool any = logs && run_logs_print(logs, last);
        if (last)
            break;
        if (!any)
            nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000L}, NULL);
        if (clock_monotonic_ms() - asked_ms < ASK_EVERY_MS)
            continue;
        asked_ms = clock_monotonic_ms();
        status = ask(title, folder, id, &rows, error);
    }
    if (status == PS_OK && options->shows && options->only && run_logs_count(logs) == 0)
        status = ps_fail(error, PS_EINVAL, "the run %s has no log of %s", id, options->only);
    run_logs_close(&logs);
    if (status == PS_OK && ended)
        *ended = rows;
    else
        run_rows_free(&rows);
    return status;
}
