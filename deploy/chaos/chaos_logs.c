/* chaos_logs.c - see chaos_logs.h. */
#include "deploy/chaos/chaos_logs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "deploy/launch/tasks.h"

enum {
    EPOCHS_MAX = 4096,      /* times that the ps go back, of which each is counted once */
    JSON_LINE_BYTES = 4096, /* longest line that common/log.h writes */
};

/* The checkpoints of one life of a ps that failed. */
typedef struct {
    uint64_t before; /* ... the last success, by what that said */
    uint64_t said;   /* ... since then, with a line */
    bool summed_up;  /* by the life itself: only what fails later still counts */
} failures;

typedef struct {
    chaos_counts *counts;
    uint64_t rows; /* of the last summary of this log */
    failures failed;
    uint64_t went_back[EPOCHS_MAX]; /* by epoch, the longest way of any ps */
} log_reader;

/* Where in a line a text begins, after it; NULL: nowhere. */
static const char *after(const char *line, const char *text)
{
    const char *found = strstr(line, text);
    return found ? found + strlen(text) : NULL;
}

static bool number_after(const char *line, const char *text, uint64_t *number)
{
    const char *found = after(line, text);
    return found && sscanf(found, "%" SCNu64, number) == 1;
}

/* The number that ends right before `text` in the line. */
static bool number_before(const char *line, const char *text, uint64_t *number)
{
    const char *found = strstr(line, text);
    const char *start = found;
    while (start && start > line && start[-1] >= '0' && start[-1] <= '9')
        start--;
    return found && start < found && sscanf(start, "%" SCNu64, number) == 1;
}

static void end_life(log_reader *r)
{
    r->counts->checkpoints_failed += r->failed.before + r->failed.said;
    r->failed = (failures){0};
}

static void take_checkpoints(log_reader *r, const char *line)
{
    uint64_t number;
    if (strstr(line, " listening on "))
        end_life(r);
    else if (number_after(line, " checkpoint of step ", &number) && strstr(line, " written in "))
        r->counts->checkpoints++;
    else if (number_after(line, " checkpoint of step ", &number) && strstr(line, " could not be written: "))
        r->failed.said++;
    else if (number_after(line, " can be written again, after ", &number) && !r->failed.summed_up)
        r->failed = (failures){.before = r->failed.before + number};
    else if (number_after(line, " checkpoints written; ", &number))
        r->failed = (failures){.before = number, .summed_up = true};
}

static void take_line(log_reader *r, const char *line)
{
    chaos_counts *c = r->counts;
    uint64_t number;
    const char *back = after(line, "going back from step ");
    uint64_t from, to, epoch;
    if (back &&
        sscanf(back, "%" SCNu64 " to step %" SCNu64 " (epoch %" SCNu64 ")", &from, &to, &epoch) == 3 &&
        epoch < EPOCHS_MAX && from > to && from - to > r->went_back[epoch])
        r->went_back[epoch] = from - to;
    if (number_before(line, " examples; ", &number))
        r->rows = number;
    if (number_before(line, " repeats, ", &number))
        c->repeats += number;
    if (number_before(line, " refused", &number) && strstr(line, " not finite, "))
        c->refused += number;
    if (number_before(line, " resent", &number))
        c->resent += number;
    take_checkpoints(r, line);
}

/* The same of a line in JSON, whose text is made to stand as in a line of text: behind a space. */
static void take_json_line(log_reader *r, const char *line)
{
    const json_options options = {.source = "log", .max_bytes = JSON_LINE_BYTES};
    char copy[JSON_LINE_BYTES];
    json *root = NULL;
    const char *text = "";
    if (json_parse(line, strlen(line), &options, &root, NULL, NULL) == PS_OK &&
        json_as_string(json_find(root, "text"), "text", &text, NULL) == PS_OK) {
        snprintf(copy, sizeof copy, " %s", text);
        take_line(r, copy);
    }
    json_free(&root);
}

static ps_status read_log(log_reader *r, const run_folder *folder, const char *role, size_t index,
                          ps_error *error)
{
    char name[TASK_NAME_MAX], path[RUN_PATH_MAX];
    snprintf(name, sizeof name, "%s-%zu", role, index);
    ps_status status = run_folder_path(folder, "logs", name, ".log", path, error);
    if (status != PS_OK)
        return status;
    FILE *log = fopen(path, "re");
    if (!log)
        return ps_fail(error, PS_EIO, "cannot read the log %s: %s", path, strerror(errno));
    char *line = NULL;
    size_t room = 0;
    r->rows = 0;
    while (getline(&line, &room, log) >= 0)
        (line[0] == '{' ? take_json_line : take_line)(r, line);
    end_life(r);
    free(line);
    fclose(log);
    return PS_OK;
}

ps_status chaos_logs_count(const run_folder *folder, size_t servers, size_t workers, chaos_counts *counts,
                           ps_error *error)
{
    log_reader *r = calloc(1, sizeof *r);
    *counts = (chaos_counts){0};
    if (!r)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    r->counts = counts;
    ps_status status = PS_OK;
    for (size_t i = 0; i < workers && status == PS_OK; i++)
        status = read_log(r, folder, "worker", i, error);
    for (size_t i = 0; i < servers && status == PS_OK; i++) {
        status = read_log(r, folder, "ps", i, error);
        counts->rows_min = i == 0 || r->rows < counts->rows_min ? r->rows : counts->rows_min;
        counts->rows_max = r->rows > counts->rows_max ? r->rows : counts->rows_max;
    }
    for (size_t epoch = 0; epoch < EPOCHS_MAX; epoch++)
        counts->steps_replayed += r->went_back[epoch];
    free(r);
    return status;
}
