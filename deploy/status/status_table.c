/* status_table.c - see status_table.h. What a page lacks, or says in another way than expected, is shown as
 * unknown: a table is no place for complaints. */
#include "deploy/status/status_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "common/plain_text.h"

enum { CELL = 32, NAME = CELL + 2, DEVICE_COLUMNS = 6, REASON = 160, COLUMNS = 80 };

/* ---- reading ---- */

/* By a path of keys, ended by NULL; NULL if there is no such thing, or nothing to look in. */
static const json *find(const json *page, ...)
{
    va_list keys;
    va_start(keys, page);
    const char *key = va_arg(keys, const char *);
    while (page && key) {
        page = json_find(page, key);
        key = va_arg(keys, const char *);
    }
    va_end(keys);
    return page;
}

/* "-" if it is no text. What would steer a terminal is not shown. */
static const char *text_of(const json *value)
{
    const char *text = json_string_or(value, "-");
    for (const char *c = text; *c; c++)
        if (is_control_character(*c) || (*c == '\xc2' && (unsigned char)c[1] < 0xa0))
            return "?";
    return text;
}

static bool is_list(const json *value)
{
    return value && json_type_of(value) == JSON_LIST;
}

/* ---- cells ---- */

/* 40000 as "40,000"; "-" if unknown. */
static const char *count_text(double number, char text[CELL])
{
    char digits[CELL];
    if (!(fabs(number) < 1e15)) {
        snprintf(text, CELL, "%s", isnan(number) ? "-" : "huge");
        return text;
    }
    const int length = snprintf(digits, sizeof digits, "%.0f", fabs(number));
    char *to = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

/* Without separators, for narrow columns: 12345, 1.2M. */
static const char *short_text(double number, char text[CELL])
{
    static const char units[] = " kMGTPE";
    int unit = 0;
    if (isnan(number)) {
        snprintf(text, CELL, "-");
        return text;
    }
    if (number < 99999.5) {
        snprintf(text, CELL, "%.0f", number);
        return text;
    }
    for (; number >= 999.5 && unit < 6; unit++)
        number /= 1000;
    snprintf(text, CELL, "%.3g%c", number, units[unit]);
    return text;
}

/* 1,234,567 bytes as "1.23 MB". */
static const char *bytes_text(double bytes, char text[CELL])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    int unit = 0;
    for (; bytes >= 999.5 && unit < 6; unit++)
        bytes /= 1000;
    if (isnan(bytes))
        snprintf(text, CELL, "-");
    else
        snprintf(text, CELL, "%.3g %s", bytes, units[unit]);
    return text;
}

static const char *ms_text(double ms, char text[CELL])
{
    if (isnan(ms))
        snprintf(text, CELL, "-");
    else
        snprintf(text, CELL, ms < 9.995 ? "%.2f" : ms < 99.95 ? "%.1f" : "%.0f", ms);
    return text;
}

static const char *time_text(double seconds, char text[CELL])
{
    if (isnan(seconds) || seconds > 1e9) {
        snprintf(text, CELL, "-");
        return text;
    }
    const unsigned whole = (unsigned)lround(fmax(seconds, 0));
    if (whole >= 3600)
        snprintf(text, CELL, "%u:%02u:%02u", whole / 3600, whole % 3600 / 60, whole % 60);
    else
        snprintf(text, CELL, "%u:%02u", whole / 60, whole % 60);
    return text;
}

static const char *real_text(double number, char text[CELL])
{
    if (isnan(number))
        snprintf(text, CELL, "-");
    else
        snprintf(text, CELL, "%.4g", number);
    return text;
}

/* ---- which page says what ---- */

/* The ps that has got least far, of those that have a job; else any ps; else a worker's page. */
static const json *main_page(const status_pages *all)
{
    const json *best = NULL;
    double least = INFINITY;
    for (size_t i = 0; i < all->count; i++) {
        const json *page = all->pages[i].page;
        const bool of_ps = page && status_page_is_of_ps(page);
        const json *job = of_ps ? json_find(page, "job") : NULL;
        const bool works = job && json_type_of(job) == JSON_OBJECT;
        const double step = json_number(find(page, "progress", "step", NULL));
        if (works && step < least) {
            best = page;
            least = step;
        } else if (page && isinf(least) && (!best || (of_ps && !status_page_is_of_ps(best)))) {
            best = page;
        }
    }
    return best;
}

/* ---- parts of the table ---- */

static void print_head(const json *page, FILE *out)
{
    char a[CELL], b[CELL], c[CELL];
    const json *job = find(page, "job", NULL);
    const bool of_ps = status_page_is_of_ps(page);
    if (of_ps && job && json_type_of(job) == JSON_OBJECT)
        fprintf(out, "%s: %s, %s, %s ps, %s workers, %s parameters; ", text_of(json_find(job, "name")),
                text_of(json_find(job, "mode")), text_of(json_find(job, "optimizer")),
                count_text(json_number(json_find(job, "servers")), a),
                count_text(json_number(json_find(job, "workers")), b),
                count_text(json_number(json_find(job, "parameters")), c));
    fprintf(out, "%s, up %s\n", text_of(find(page, of_ps ? "state" : "activity", NULL)),
            time_text(json_number(find(page, "uptime_ms", NULL)) / 1000, a));
}

static void print_progress(const json *page, FILE *out)
{
    char a[CELL], b[CELL], c[CELL];
    const json *p = find(page, "progress", NULL);
    const double steps = json_number(find(p, "steps", NULL)), epochs = json_number(find(p, "epochs", NULL));
    fprintf(out, "step %s", count_text(json_number(find(p, "step", NULL)), a));
    if (!isnan(steps))
        fprintf(out, " of %s", count_text(steps, a));
    fprintf(out, ", epoch %s", real_text(json_number(find(p, "epoch", NULL)), a));
    if (!isnan(epochs))
        fprintf(out, " of %s", real_text(epochs, b));
    fprintf(out, ", ETA %s\nloss %s, %s examples/s", time_text(json_number(find(p, "eta_s", NULL)), a),
            real_text(json_number(find(p, "loss", NULL)), b),
            count_text(json_number(find(p, "examples_per_s", NULL)), c));
    const double tested = json_number(find(p, "test", "accuracy", NULL));
    if (!isnan(tested))
        fprintf(out, ", test accuracy %.2f %% at step %s", 100 * tested,
                count_text(json_number(find(p, "test", "step", NULL)), a));
    fputc('\n', out);
}

/* What `state` says is ahead of what the worker itself said last. */
static const char *state_of(const json *w)
{
    const char *state = text_of(json_find(w, "state")), *activity = text_of(json_find(w, "activity"));
    const bool works = strcmp(state, "training") == 0;
    return works && strcmp(activity, "testing") == 0 ? "testing" : strcmp(state, "-") == 0 ? activity : state;
}

static void print_worker(const json *w, const char *name, FILE *out)
{
    char step[CELL], stale[CELL], t[5][CELL], speed[CELL], restarts[CELL];
    static const char *const times[] = {"step_ms", "compute_ms", "push_ms", "wait_ms", "pull_ms"};
    for (int i = 0; i < 5; i++)
        ms_text(json_number(json_find(w, times[i])), t[i]);
    fprintf(out, "%-4s %-8.8s %7s %5s %6s %6s %5s %6s %5s %6s %3s  %.*s\n", name, state_of(w),
            short_text(json_number(json_find(w, "step")), step),
            short_text(json_number(json_find(w, "staleness")), stale), t[0], t[1], t[2], t[3], t[4],
            short_text(json_number(json_find(w, "examples_per_s")), speed),
            short_text(json_number(json_find(w, "restarts")), restarts), DEVICE_COLUMNS,
            text_of(json_find(w, "device")));
}

static void print_worker_head(FILE *out)
{
    fprintf(out, "\n%-4s %-8s %7s %5s %6s %6s %5s %6s %5s %6s %3s  %s\n", "", "worker", "step", "stale", "ms",
            "comp.", "push", "wait", "pull", "rows/s", "rst", "device");
}

static void print_members(const json *page, FILE *out)
{
    static const struct {
        const char *key;
        char letter;
    } kinds[] = {{"workers", 'w'}, {"evaluators", 'e'}};
    print_worker_head(out);
    for (size_t k = 0; k < 2; k++) {
        const json *list = json_find(page, kinds[k].key);
        for (const json *w = is_list(list) ? json_first(list) : NULL; w; w = json_next(w)) {
            char name[NAME], index[CELL];
            snprintf(name, sizeof name, "%c%s", kinds[k].letter,
                     short_text(json_number(find(w, "index", NULL)), index));
            print_worker(w, name, out);
        }
    }
}

/* Bytes of all codecs. */
static double sum_of(const json *by_codec)
{
    double sum = NAN;
    for (const json *c = by_codec && json_type_of(by_codec) == JSON_OBJECT ? json_first(by_codec) : NULL; c;
         c = json_next(c))
        sum = (isnan(sum) ? 0 : sum) + json_number(c);
    return sum;
}

static void print_server(const json *page, FILE *out)
{
    char name[NAME], index[CELL], version[CELL], bytes[CELL], apply[CELL], queue[CELL], repeats[CELL];
    char received[CELL], sent[CELL];
    const json *s = json_find(page, "shard");
    snprintf(name, sizeof name, "p%s", short_text(json_number(find(page, "index", NULL)), index));
    fprintf(out, "%-4s %-8.8s %9s %9s %8s %6s %6s %11s %11s\n", name, text_of(json_find(page, "state")),
            count_text(json_number(find(s, "version", NULL)), version),
            bytes_text(json_number(find(s, "bytes", NULL)), bytes),
            ms_text(json_number(find(s, "apply_ms", NULL)), apply),
            short_text(json_number(find(s, "queue", "requests", NULL)) +
                           json_number(find(s, "queue", "unsent", NULL)) +
                           json_number(find(s, "queue", "answers", NULL)),
                       queue),
            short_text(json_number(find(s, "duplicates", NULL)), repeats),
            bytes_text(sum_of(find(s, "received", NULL)), received),
            bytes_text(sum_of(find(s, "sent", NULL)), sent));
}

/* The page of the ps of the lowest index above `last`; NULL if there is none. */
static const json *next_server(const status_pages *all, double last)
{
    const json *next = NULL;
    double lowest = INFINITY;
    for (size_t i = 0; i < all->count; i++) {
        const json *page = all->pages[i].page;
        const double index = page && status_page_is_of_ps(page) ? json_number(json_find(page, "index")) : NAN;
        if (index > last && index < lowest) {
            next = page;
            lowest = index;
        }
    }
    return next;
}

static void print_servers(const status_pages *all, const json *best, FILE *out)
{
    fprintf(out, "\n%-4s %-8s %9s %9s %8s %6s %6s %11s %11s\n", "", "ps", "version", "holds", "apply ms",
            "queue", "dupl.", "received", "sent");
    double last = -1;
    for (const json *page; (page = next_server(all, last)); last = json_number(json_find(page, "index")))
        print_server(page, out);
    const json *list = json_find(best, "servers");
    for (const json *s = is_list(list) ? json_first(list) : NULL; s; s = json_next(s)) {
        char index[CELL];
        const char *http = text_of(find(s, "http", NULL));
        if (strcmp(http, "-") == 0)
            fprintf(out, "p%-3s (shows nothing over HTTP, as far as is known)\n",
                    short_text(json_number(find(s, "index", NULL)), index));
    }
    for (size_t i = 0; i < all->count; i++)
        if (!all->pages[i].page)
            fprintf(out, "     %s\n", all->pages[i].error.text);
}

static void print_checkpoint(const json *page, FILE *out)
{
    char a[CELL], b[CELL], c[CELL], d[CELL];
    const json *point = json_find(page, "checkpoint");
    if (!point || json_type_of(point) != JSON_OBJECT) {
        fprintf(out, "\ncheckpoints: none are kept\n");
        return;
    }
    const double step = json_number(json_find(point, "step")),
                 failed = json_number(json_find(point, "failed"));
    if (isnan(step))
        fprintf(out, "\ncheckpoints: none yet");
    else
        fprintf(out, "\ncheckpoints: step %s, %s ago, took %s ms; %s written", count_text(step, a),
                time_text(json_number(json_find(point, "age_ms")) / 1000, b),
                short_text(json_number(json_find(point, "duration_ms")), c),
                count_text(json_number(json_find(point, "kept")), d));
    if (failed > 0)
        fprintf(out, ", %s failed", count_text(failed, a));
    fputc('\n', out);
}

/* Restores are of all ps together; each ps counts losses and restarts of workers for itself. */
static void print_faults(const json *page, FILE *out)
{
    char a[CELL], b[CELL], c[CELL], d[CELL], e[CELL];
    const json *f = json_find(page, "faults");
    if (!f || json_type_of(f) != JSON_OBJECT)
        return;
    fprintf(out, "faults: %s recovered (%s workers lost, %s returned, %s restarted; %s restores)\n",
            count_text(json_number(json_find(f, "recovered")), a),
            count_text(json_number(json_find(f, "workers_lost")), b),
            count_text(json_number(json_find(f, "workers_returned")), c),
            count_text(json_number(json_find(f, "workers_restarted")), d),
            count_text(json_number(json_find(f, "restores")), e));
}

/* Of a worker, on that page; NULL if it waits for nothing there. */
static const json *wait_of(const json *page, double worker)
{
    const json *waits = json_find(page, "waits");
    for (const json *w = is_list(waits) ? json_first(waits) : NULL; w; w = json_next(w))
        if (json_number(find(w, "worker", NULL)) == worker)
            return w;
    return NULL;
}

/* Does this page tell of the worker's longest wait, or of one as long as on a page after it? */
static bool is_longest(const status_pages *all, size_t at, const json *wait)
{
    const double worker = json_number(find(wait, "worker", NULL)),
                 ms = json_number(find(wait, "since_ms", NULL));
    for (size_t i = 0; i < all->count; i++) {
        const json *other = all->pages[i].page && i != at ? wait_of(all->pages[i].page, worker) : NULL;
        const double its = json_number(find(other, "since_ms", NULL));
        if (its > ms || (its == ms && i < at))
            return false;
    }
    return true;
}

static void print_wait(const json *page, const json *wait, FILE *out)
{
    char worker[CELL], server[CELL], text[REASON];
    const double ms = json_number(find(wait, "since_ms", NULL));
    const int room = COLUMNS - fprintf(out, "waits: w%s at p%s, for %.1f s: ",
                                       short_text(json_number(find(wait, "worker", NULL)), worker),
                                       short_text(json_number(json_find(page, "index")), server),
                                       isnan(ms) ? 0 : ms / 1000);
    snprintf(text, sizeof text, "%s", text_of(find(wait, "text", NULL)));
    if (room > 3 && strlen(text) > (size_t)room)
        memcpy(text + room - 3, "...", 4);
    fprintf(out, "%s\n", text);
}

/* Each worker once, with its longest wait. */
static void print_waits(const status_pages *all, FILE *out)
{
    bool some = false;
    for (size_t i = 0; i < all->count; i++) {
        const json *page = all->pages[i].page;
        const json *waits = page ? json_find(page, "waits") : NULL;
        for (const json *w = is_list(waits) ? json_first(waits) : NULL; w; w = json_next(w)) {
            if (!is_longest(all, i, w))
                continue;
            print_wait(page, w, out);
            some = true;
        }
    }
    if (!some)
        fputs("waits: nobody\n", out);
}

void status_table_print(const status_pages *all, FILE *out)
{
    const json *best = main_page(all);
    print_head(best, out);
    print_progress(best, out);
    if (!status_page_is_of_ps(best)) {
        char index[CELL], name[NAME];
        snprintf(name, sizeof name, "w%s", short_text(json_number(json_find(best, "index")), index));
        print_worker_head(out);
        const json *worker = json_find(best, "worker");
        if (worker && json_type_of(worker) == JSON_OBJECT)
            print_worker(worker, name, out);
        return;
    }
    print_members(best, out);
    print_servers(all, best, out);
    print_checkpoint(best, out);
    print_faults(best, out);
    print_waits(all, out);
}
