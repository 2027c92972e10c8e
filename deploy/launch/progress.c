/* progress.c - see progress.h. */
#include "deploy/launch/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/plain_text.h"

enum {
    REPORT_BYTES_MAX = 64 << 10,
    PIECE_BYTES = 96,  /* of a rendered line: "step 500/4,000" */
    COUNT_BYTES = 32,  /* a number with separators */
    ETA_MIN_MS = 1000, /* time of training that an estimate is worth something after */
    HOUR_S = 3600,
    MINUTE_S = 60,
    ETA_MAX_HOURS = 999,
};

void progress_init(progress *p, int64_t now_ms)
{
    *p = (progress){.updated_ms = now_ms, .epochs = NAN};
}

/* A number that may be missing or null, as a loss that is not finite has to be. */
static ps_status read_number(const json *report, const char *key, double *number, ps_error *error)
{
    const json *value = json_find(report, key);
    *number = NAN;
    if (!value || json_type_of(value) == JSON_NULL)
        return PS_OK;
    return json_as_number(value, key, number, error);
}

static ps_status read_count(const json *report, const char *key, uint64_t *count, ps_error *error)
{
    int64_t value;
    ps_status status = json_as_integer(json_find(report, key), key, 0, JSON_INTEGER_MAX, &value, error);
    if (status == PS_OK)
        *count = (uint64_t)value;
    return status;
}

static ps_status take_start(progress *p, const json *report, ps_error *error)
{
    ps_status status = read_number(report, "epochs", &p->epochs, error);
    if (status == PS_OK)
        status = read_count(report, "steps", &p->steps, error);
    /* A process that starts anew goes back: estimates begin anew too. */
    p->started = true;
    p->stepped = false;
    return status;
}

static ps_status take_step(progress *p, const json *report, ps_error *error)
{
    progress_step step;
    ps_status status = read_count(report, "step", &step.step, error);
    if (status == PS_OK)
        status = read_number(report, "epoch", &step.epoch, error);
    if (status == PS_OK)
        status = read_number(report, "loss", &step.loss, error);
    if (status == PS_OK)
        status = read_number(report, "images_per_s", &step.images_per_s, error);
    if (status == PS_OK)
        status = read_number(report, "seconds", &step.seconds, error);
    if (status == PS_OK && json_find(report, "steps")) /* it changes as workers come and go */
        status = read_count(report, "steps", &p->steps, error);
    if (!p->stepped)
        p->first = step;
    p->stepped = true;
    p->latest = step;
    return status;
}

static ps_status take_eval(progress *p, const json *report, ps_error *error)
{
    ps_status status = read_number(report, "epoch", &p->eval.epoch, error);
    if (status == PS_OK)
        status = read_number(report, "step", &p->eval.step, error);
    if (status == PS_OK)
        status = read_number(report, "accuracy", &p->eval.accuracy, error);
    if (status == PS_OK)
        status = read_number(report, "loss", &p->eval.loss, error);
    if (status == PS_OK)
        status = read_number(report, "seconds", &p->eval.seconds, error);
    return status;
}

static ps_status take_done(progress *p, const json *report, ps_error *error)
{
    const json *model = json_find(report, "model");
    const char *path = "";
    ps_status status = read_number(report, "accuracy", &p->result.accuracy, error);
    if (status == PS_OK)
        status = read_number(report, "loss", &p->result.loss, error);
    if (status == PS_OK)
        status = read_number(report, "train_seconds", &p->result.train_seconds, error);
    if (status == PS_OK)
        status = read_number(report, "images_per_s", &p->result.images_per_s, error);
    if (status == PS_OK && model && json_type_of(model) != JSON_NULL)
        status = json_as_string(model, "model", &path, error);
    snprintf(p->result.model, sizeof p->result.model, "%s", path);
    plain_text(p->result.model, strlen(p->result.model), "");
    p->finished = true;
    return status;
}

static const struct {
    const char *name;
    progress_event event;
    ps_status (*take)(progress *p, const json *report, ps_error *error);
} kinds[] = {
    {"start", PROGRESS_START, take_start},
    {"step", PROGRESS_STEP, take_step},
    {"eval", PROGRESS_EVAL, take_eval},
    {"done", PROGRESS_DONE, take_done},
};

ps_status progress_take(progress *p, const char *line, size_t bytes, int64_t now_ms, progress_event *event,
                        ps_error *error)
{
    const json_options options = {.source = "progress report", .max_bytes = REPORT_BYTES_MAX};
    json *report = NULL;
    const char *name = NULL;
    progress next = *p;
    *event = PROGRESS_NOTHING;
    ps_status status = json_parse(line, bytes, &options, &report, NULL, error);
    if (status == PS_OK)
        status = json_as_object(report, "progress report", error);
    if (status == PS_OK)
        status = json_as_string(json_find(report, "event"), "event", &name, error);
    if (status)
        goto done;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(name, kinds[i].name) != 0)
            continue;
        status = kinds[i].take(&next, report, error);
        if (status)
            goto done;
        next.updated_ms = now_ms;
        *p = next;
        *event = kinds[i].event;
    }
done:
    json_free(&report);
    return status;
}

/* 40000 as "40,000"; absurdly large ones in powers of ten. */
static const char *format_count(double number, char text[COUNT_BYTES])
{
    if (number < 0 || number >= 1e15) {
        snprintf(text, COUNT_BYTES, "%.3g", number);
        return text;
    }
    char digits[COUNT_BYTES];
    int length = snprintf(digits, sizeof digits, "%.0f", number);
    char *out = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

static const char *format_duration(double seconds, char text[COUNT_BYTES])
{
    if (seconds >= (double)ETA_MAX_HOURS * HOUR_S) {
        snprintf(text, COUNT_BYTES, "over %d h", ETA_MAX_HOURS);
        return text;
    }
    unsigned whole = seconds > 0 ? (unsigned)lround(seconds) : 0;
    if (whole >= HOUR_S)
        snprintf(text, COUNT_BYTES, "%u:%02u:%02u", whole / HOUR_S, whole % HOUR_S / MINUTE_S,
                 whole % MINUTE_S);
    else
        snprintf(text, COUNT_BYTES, "%u:%02u", whole / MINUTE_S, whole % MINUTE_S);
    return text;
}

/* Seconds until the last step at the pace so far; NaN if nobody can tell yet. */
static double estimate(const progress *p, int64_t now_ms)
{
    double seconds = p->latest.seconds - p->first.seconds;
    if (!(seconds * 1000 >= ETA_MIN_MS) || p->latest.step <= p->first.step || p->steps < p->latest.step)
        return NAN;
    double pace = seconds / (double)(p->latest.step - p->first.step);
    return pace * (double)(p->steps - p->latest.step) - (double)(now_ms - p->updated_ms) / 1000;
}

/* The pieces of the line from left to right; rendered empty if unknown. */
enum { PIECE_EPOCH, PIECE_STEP, PIECE_LOSS, PIECE_RATE, PIECE_ETA, PIECE_QUIET, PIECES };

/* Left out in this order until the rest fits. */
static const int dispensable[] = {PIECE_STEP, PIECE_RATE, PIECE_LOSS, PIECE_ETA, PIECE_QUIET};

static void render_pieces(const progress *p, int64_t now_ms, char pieces[PIECES][PIECE_BYTES])
{
    char count[COUNT_BYTES], total[COUNT_BYTES];
    const progress_step *latest = &p->latest;
    if (!isnan(latest->epoch) && !isnan(p->epochs))
        snprintf(pieces[PIECE_EPOCH], PIECE_BYTES, "epoch %.2f/%g", fmin(latest->epoch, 1e9), p->epochs);
    if (p->steps > 0)
        snprintf(pieces[PIECE_STEP], PIECE_BYTES, "step %s/%s", format_count((double)latest->step, count),
                 format_count((double)p->steps, total));
    else
        snprintf(pieces[PIECE_STEP], PIECE_BYTES, "step %s", format_count((double)latest->step, count));
    if (!isnan(latest->loss))
        snprintf(pieces[PIECE_LOSS], PIECE_BYTES, "loss %.4g", latest->loss);
    if (!isnan(latest->images_per_s))
        snprintf(pieces[PIECE_RATE], PIECE_BYTES, "%s images/s", format_count(latest->images_per_s, count));
    double eta = estimate(p, now_ms);
    if (!isnan(eta))
        snprintf(pieces[PIECE_ETA], PIECE_BYTES, "ETA %s", format_duration(eta, count));
    if (now_ms - p->updated_ms > PROGRESS_QUIET_MS)
        snprintf(pieces[PIECE_QUIET], PIECE_BYTES, "no news for %s",
                 format_duration((double)(now_ms - p->updated_ms) / 1000, count));
}

/* Columns of the pieces with two spaces between any two. */
static size_t columns(char pieces[PIECES][PIECE_BYTES])
{
    size_t total = 0;
    for (int i = 0; i < PIECES; i++)
        if (pieces[i][0])
            total += strlen(pieces[i]) + (total > 0 ? 2 : 0);
    return total;
}

void progress_render(const progress *p, size_t width, int64_t now_ms, char *line, size_t bytes)
{
    char pieces[PIECES][PIECE_BYTES] = {0};
    if (p->stepped)
        render_pieces(p, now_ms, pieces);
    else
        snprintf(pieces[PIECE_EPOCH], PIECE_BYTES, "waiting for the first step, %s",
                 p->started ? "training begins" : "processes are starting");
    for (size_t i = 0; i < sizeof dispensable / sizeof dispensable[0] && columns(pieces) > width; i++)
        pieces[dispensable[i]][0] = '\0';

    size_t room = width < bytes ? width + 1 : bytes;
    size_t used = 0;
    if (bytes > 0)
        line[0] = '\0';
    for (int i = 0; i < PIECES && used < room; i++)
        if (pieces[i][0])
            used += (size_t)snprintf(line + used, room - used, "%s%s", used > 0 ? "  " : "", pieces[i]);
}

void progress_render_eval(const progress_eval *eval, char *line, size_t bytes)
{
    char loss[COUNT_BYTES] = "", after[COUNT_BYTES] = "";
    if (!isnan(eval->loss))
        snprintf(loss, sizeof loss, ", loss %.4g", eval->loss);
    if (!isnan(eval->seconds))
        snprintf(after, sizeof after, ", after %.1f s", fmin(eval->seconds, 1e12));
    snprintf(line, bytes, "epoch %g: test accuracy %.2f %%%s%s", eval->epoch, 100 * fmin(eval->accuracy, 1e9),
             loss, after);
}

void progress_render_result(const progress_result *result, char *text, size_t bytes)
{
    char rate[COUNT_BYTES];
    size_t used = 0;
    if (bytes > 0)
        text[0] = '\0';
    if (!isnan(result->accuracy))
        used += (size_t)snprintf(text, bytes, "test accuracy  %.2f %%\n", 100 * fmin(result->accuracy, 1e9));
    if (!isnan(result->train_seconds) && used < bytes)
        used += (size_t)snprintf(text + used, bytes - used, "training time  %.1f s\n",
                                 fmin(result->train_seconds, 1e12));
    if (!isnan(result->images_per_s) && used < bytes)
        used += (size_t)snprintf(text + used, bytes - used, "throughput     %s images/s\n",
                                 format_count(result->images_per_s, rate));
    if (result->model[0] && used < bytes)
        snprintf(text + used, bytes - used, "model          %s\n", result->model);
}
