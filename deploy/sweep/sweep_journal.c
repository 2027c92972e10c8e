/* sweep_journal.c - see sweep_journal.h. */
#include "deploy/sweep/sweep_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/path.h"
#include "deploy/number_text.h"

#define FILE_NAME "trials.jsonl"

enum { LINE_BYTES_MAX = 1 << 20, EXIT_CODE_MAX = 255, QUOTED_BYTES = 6 * SWEEP_WHY_BYTES };

static const char *const names[] = {[TRIAL_WAITS] = "waits",
                                    [TRIAL_RUNS] = "runs",
                                    [TRIAL_FINISHED] = "finished",
                                    [TRIAL_STOPPED] = "stopped",
                                    [TRIAL_FAILED] = "failed"};

const char *sweep_outcome_name(sweep_outcome outcome)
{
    return names[outcome];
}

sweep_trial *sweep_trial_list_create(size_t count)
{
    sweep_trial *list = calloc(count, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        list[i].accuracy = list[i].loss = NAN;
    return list;
}

void sweep_trial_list_destroy(sweep_trial **list, size_t count)
{
    for (size_t i = 0; *list && i < count; i++)
        sweep_curve_fini(&(*list)[i].curve);
    free(*list);
    *list = NULL;
}

ps_status sweep_journal_open(const char *folder, sweep_journal *j, ps_error *error)
{
    char path[PATH_BYTES];
    j->fd = -1;
    ps_status status = path_make(path, error, "%s/" FILE_NAME, folder);
    if (status == PS_OK)
        status = file_make_folder(folder, error);
    if (status != PS_OK)
        return status;
    j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (j->fd < 0)
        return path_fail(error, "open", path);
    if (flock(j->fd, LOCK_EX | LOCK_NB) == 0)
        return file_sync_folder(folder, error);
    status = errno == EWOULDBLOCK
                 ? ps_fail(error, PS_ESTATE, "another process is at work on the sweep in %s", folder)
                 : path_fail(error, "lock", path);
    sweep_journal_close(j);
    return status;
}

void sweep_journal_close(sweep_journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
}

/* ---- reading --------------------------------------------------------------------------------------- */

/* A number, or null for NaN. */
static ps_status read_number(const json *value, const char *key, double *number, ps_error *error)
{
    *number = NAN;
    if (value && json_type_of(value) == JSON_NULL)
        return PS_OK;
    return json_as_number(value, key, number, error);
}

static ps_status read_outcome(const json *line, sweep_outcome *outcome, ps_error *error)
{
    const char *text;
    ps_status status = json_as_string(json_find(line, "outcome"), "outcome", &text, error);
    if (status != PS_OK)
        return status;
    for (int i = TRIAL_FINISHED; i <= TRIAL_FAILED; i++) {
        *outcome = (sweep_outcome)i;
        if (strcmp(text, names[i]) == 0)
            return PS_OK;
    }
    return ps_fail(error, PS_EFORMAT, "there is no outcome '%.40s'", text);
}

static ps_status read_evaluation(const json *triple, sweep_curve *curve, ps_error *error)
{
    double numbers[3];
    const json *each = json_first(triple);
    if (json_type_of(triple) != JSON_LIST || json_count(triple) != 3)
        return ps_fail(error, PS_EFORMAT, "an evaluation is a list of epoch, accuracy and loss");
    ps_status status = PS_OK;
    for (int i = 0; i < 3 && status == PS_OK; i++, each = json_next(each))
        status = read_number(each, "evaluations", &numbers[i], error);
    if (status == PS_OK && sweep_curve_add(curve, numbers[0], numbers[1], numbers[2]) != PS_OK)
        status = ps_fail(error, PS_ENOMEM, "out of memory");
    return status;
}

static ps_status read_evaluations(const json *line, sweep_curve *curve, ps_error *error)
{
    const json *list = json_find(line, "evaluations");
    ps_status status = json_as_list(list, "evaluations", error);
    for (const json *each = status == PS_OK ? json_first(list) : NULL; each && status == PS_OK;
         each = json_next(each))
        status = read_evaluation(each, curve, error);
    return status;
}

/* The trial is complete after a failure too, so that it can be released. */
static ps_status read_trial(const json *line, sweep_trial *t, double *elapsed, ps_error *error)
{
    int64_t code;
    const char *why;
    ps_status status = read_outcome(line, &t->outcome, error);
    if (status == PS_OK)
        status = json_as_integer(json_find(line, "exit_code"), "exit_code", 0, EXIT_CODE_MAX, &code, error);
    if (status == PS_OK)
        status = json_as_number(json_find(line, "seconds"), "seconds", &t->seconds, error);
    if (status == PS_OK)
        status = json_as_number(json_find(line, "elapsed"), "elapsed", elapsed, error);
    if (status == PS_OK)
        status = read_number(json_find(line, "accuracy"), "accuracy", &t->accuracy, error);
    if (status == PS_OK)
        status = read_number(json_find(line, "loss"), "loss", &t->loss, error);
    if (status == PS_OK)
        status = json_as_string(json_find(line, "why"), "why", &why, error);
    if (status != PS_OK)
        return status;
    t->exit_code = (int)code;
    snprintf(t->why, sizeof t->why, "%s", why);
    t->curve.count = 0;
    return read_evaluations(line, &t->curve, error);
}

static ps_status read_line(const char *text, size_t bytes, sweep_trial *trials, size_t count, double *elapsed,
                           ps_error *error)
{
    const json_options options = {.source = "JSON", .max_bytes = LINE_BYTES_MAX};
    json *line = NULL;
    int64_t number;
    ps_status status = json_parse(text, bytes, &options, &line, NULL, error);
    if (status == PS_OK)
        status = json_as_object(line, "it", error);
    if (status == PS_OK)
        status = json_as_integer(json_find(line, "trial"), "trial", 1, (int64_t)count, &number, error);
    if (status == PS_OK)
        status = read_trial(line, &trials[number - 1], elapsed, error);
    json_free(&line);
    return status;
}

static ps_status read_lines(const char *text, size_t bytes, sweep_trial *trials, size_t count,
                            double *elapsed, ps_error *error)
{
    size_t number = 1;
    for (const char *at = text, *end; at < text + bytes; at = end + 1, number++) {
        ps_error cause;
        end = memchr(at, '\n', (size_t)(text + bytes - at));
        ps_status status = read_line(at, (size_t)(end - at), trials, count, elapsed, &cause);
        if (status != PS_OK)
            return ps_fail(error, status, FILE_NAME ": line %zu: %s", number, cause.text);
    }
    return PS_OK;
}

ps_status sweep_journal_read(sweep_journal *j, sweep_trial *trials, size_t count, double *elapsed,
                             ps_error *error)
{
    char path[64], *text = NULL;
    size_t bytes;
    *elapsed = 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", j->fd);
    ps_status status = file_read(path, SWEEP_JOURNAL_BYTES_MAX, &text, &bytes, error);
    if (status != PS_OK)
        return status;
    size_t whole = bytes;
    while (whole > 0 && text[whole - 1] != '\n')
        whole--;
    if (whole < bytes && (ftruncate(j->fd, (off_t)whole) != 0 || fsync(j->fd) != 0))
        status = ps_fail(error, PS_EIO, "cannot cut " FILE_NAME " behind its last whole line: %s",
                         strerror(errno));
    if (status == PS_OK)
        status = read_lines(text, whole, trials, count, elapsed, error);
    free(text);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------------- */

/* NULL: out of memory. */
static char *print_line(size_t number, const sweep_trial *t, double elapsed, size_t *bytes)
{
    char why[QUOTED_BYTES], *text = NULL;
    FILE *out = open_memstream(&text, bytes);
    if (!out)
        return NULL;
    json_quote(t->why, why, sizeof why);
    fprintf(out,
            "{\"trial\": %zu, \"outcome\": \"%s\", \"exit_code\": %d, \"seconds\": %.3f, \"elapsed\": %.3f, "
            "\"accuracy\": ",
            number + 1, names[t->outcome], t->exit_code, t->seconds, elapsed);
    number_text_print(out, t->accuracy);
    fprintf(out, ", \"loss\": ");
    number_text_print(out, t->loss);
    fprintf(out, ", \"why\": %s, \"evaluations\": [", why);
    for (size_t i = 0; i < t->curve.count; i++) {
        fprintf(out, "%s[%u, ", i > 0 ? ", " : "", t->curve.list[i].epoch);
        number_text_print(out, t->curve.list[i].accuracy);
        fprintf(out, ", ");
        number_text_print(out, t->curve.list[i].loss);
        fprintf(out, "]");
    }
    fprintf(out, "]}\n");
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

ps_status sweep_journal_append(sweep_journal *j, size_t number, const sweep_trial *trial, double elapsed,
                               ps_error *error)
{
    size_t bytes;
    char *line = print_line(number, trial, elapsed, &bytes);
    if (!line)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    ps_status status = PS_OK;
    for (size_t done = 0; done < bytes && status == PS_OK;) {
        ssize_t written = write(j->fd, line + done, bytes - done);
        if (written < 0 && errno != EINTR)
            status = ps_fail(error, PS_EIO, "cannot write to " FILE_NAME ": %s", strerror(errno));
        done += written > 0 ? (size_t)written : 0;
    }
    if (status == PS_OK && fdatasync(j->fd) != 0)
        status = ps_fail(error, PS_EIO, "cannot write to " FILE_NAME ": %s", strerror(errno));
    free(line);
    return status;
}
