/* check_trace.c - is this a sound trace? For the tests of `--trace`.
 *
 *   check_trace FILE
 *
 * Looked at is the JSON alone, not how it came about: it is strictly JSON; spans of a lane lie beside or
 * inside each other; a flow has one beginning and one end, goes forward in time, and each of its points lies
 * in a span; each update is reached from as many processes as it says to have taken gradients of; and no
 * message comes in more than CLOCKS_US before it has left. Says for the script, one a line:
 *
 *   count PROCESS NAME N     spans and marks of that name
 *   clocks PROCESS PS US     messages both ways prove that these clocks differ by no more than that
 *
 * Exit code 1, with a line, if something is not so. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"

enum { FILE_MAX = 512 << 20, PROCESSES_MAX = 64, NAMES_MAX = 64, CLOCKS_US = 100 };

typedef struct {
    uint64_t tid, pid;
    int64_t begun, ended; /* ns */
    const char *name;
    int64_t gradients; /* of an update; else -1 */
} span;

typedef struct {
    uint64_t id;
    size_t order; /* in the file */
    char phase;
    uint64_t pid, tid;
    int64_t at;
} hop;

typedef struct {
    const char *name;
    struct {
        const char *name;
        uint64_t count;
    } names[NAMES_MAX];
    size_t name_count;
} process;

typedef struct {
    uint64_t tid;
    const char *name;
} lane;

static span *spans;
static hop *hops;
static lane *lanes;
static size_t span_count, hop_count, lane_count;
static process processes[PROCESSES_MAX]; /* by pid */
static int failures;
static int64_t tolerated_ns; /* by which a message may come in before it has left */

#define FAIL(...)                          \
    do {                                   \
        if (++failures <= 10) {            \
            printf("WRONG: " __VA_ARGS__); \
            printf("\n");                  \
        }                                  \
    } while (0)

static double number(const json *event, const char *key)
{
    double value = NAN;
    json_as_number(json_find(event, key), key, &value, NULL);
    return value;
}

static uint64_t whole(const json *event, const char *key)
{
    int64_t value = -1;
    if (json_as_integer(json_find(event, key), key, 0, JSON_INTEGER_MAX, &value, NULL) != PS_OK)
        FAIL("an event without a whole number '%s'", key);
    return (uint64_t)value;
}

static const char *text(const json *event, const char *key)
{
    const char *value = "";
    if (json_as_string(json_find(event, key), key, &value, NULL) != PS_OK)
        FAIL("an event without a text '%s'", key);
    return value;
}

static int64_t time_ns(const json *event, const char *key)
{
    const double us = number(event, key);
    if (!(us >= 0 && us < 1e13))
        FAIL("an event whose '%s' is no time", key);
    return llround(us * 1000);
}

static process *process_of(uint64_t pid)
{
    if (pid == 0 || pid >= PROCESSES_MAX) {
        FAIL("a process of number %llu", (unsigned long long)pid);
        pid = 0;
    }
    return &processes[pid];
}

static void count(process *p, const char *name)
{
    size_t i = 0;
    while (i < p->name_count && strcmp(p->names[i].name, name) != 0)
        i++;
    if (i == NAMES_MAX)
        return;
    if (i == p->name_count)
        p->names[p->name_count++].name = name;
    p->names[i].count++;
}

static void take(const json *event)
{
    const char phase = text(event, "ph")[0];
    const uint64_t pid = whole(event, "pid"), tid = whole(event, "tid");
    const char *name = text(event, "name");
    const json *about = json_find(event, "args");
    switch (phase) {
    case 'M':
        if (strcmp(name, "process_name") == 0)
            process_of(pid)->name = text(about, "name");
        else if (strcmp(name, "thread_name") == 0)
            lanes[lane_count++] = (lane){.tid = tid, .name = text(about, "name")};
        break;
    case 'i':
        time_ns(event, "ts");
        count(process_of(pid), name);
        break;
    case 'X': {
        span *s = &spans[span_count++];
        *s = (span){.tid = tid, .pid = pid, .begun = time_ns(event, "ts"), .name = name, .gradients = -1};
        s->ended = s->begun + time_ns(event, "dur");
        if (strcmp(name, "apply") == 0)
            s->gradients = (int64_t)whole(about, "gradients");
        count(process_of(pid), name);
        break;
    }
    case 's':
    case 't':
    case 'f':
        hops[hop_count] = (hop){.id = whole(event, "id"), .order = hop_count, .phase = phase};
        hops[hop_count].pid = pid;
        hops[hop_count].tid = tid;
        hops[hop_count++].at = time_ns(event, "ts");
        break;
    default:
        FAIL("an event of phase '%c'", phase);
    }
}

/* ---- spans ---- */

static int by_place(const void *left, const void *right)
{
    const span *a = left, *b = right;
    if (a->tid != b->tid)
        return a->tid < b->tid ? -1 : 1;
    if (a->begun != b->begun)
        return a->begun < b->begun ? -1 : 1;
    return a->ended > b->ended ? -1 : a->ended < b->ended;
}

static const char *lane_name(uint64_t tid)
{
    for (size_t i = 0; i < lane_count; i++)
        if (lanes[i].tid == tid)
            return lanes[i].name;
    FAIL("a lane without a name: %llu", (unsigned long long)tid);
    return "";
}

static void check_nesting(void)
{
    enum { DEPTH_MAX = 64 };
    const span *open[DEPTH_MAX];
    size_t depth = 0;
    for (size_t i = 0; i < span_count; i++) {
        const span *s = &spans[i];
        if (i == 0 || s->tid != spans[i - 1].tid) {
            depth = 0;
            lane_name(s->tid);
        }
        while (depth > 0 && open[depth - 1]->ended <= s->begun)
            depth--;
        if (depth > 0 && open[depth - 1]->ended < s->ended)
            FAIL("'%s' at %lld ns overlaps '%s' in lane '%s' of %s", s->name, (long long)s->begun,
                 open[depth - 1]->name, lane_name(s->tid), process_of(s->pid)->name);
        if (depth == DEPTH_MAX)
            FAIL("spans %d deep", DEPTH_MAX);
        else
            open[depth++] = s;
    }
}

/* The last span of that lane which begins no later, or one around it, holds this moment. NULL: none does. */
static const span *span_at(uint64_t tid, int64_t at)
{
    size_t first = 0, end = span_count;
    while (first < end) {
        const size_t middle = first + (end - first) / 2;
        const span *s = &spans[middle];
        if (s->tid < tid || (s->tid == tid && s->begun <= at))
            first = middle + 1;
        else
            end = middle;
    }
    for (size_t i = first; i > 0 && spans[i - 1].tid == tid; i--)
        if (spans[i - 1].ended >= at)
            return &spans[i - 1];
    return NULL;
}

/* ---- flows ---- */

static int by_flow(const void *left, const void *right)
{
    const hop *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static bool is_ps(uint64_t pid)
{
    const char *name = process_of(pid)->name;
    return name && strncmp(name, "ps/", 3) == 0;
}

/* The quickest message from one process to another; ns. */
static int64_t quickest[PROCESSES_MAX][PROCESSES_MAX];

static void check_flow(const hop *first, size_t length)
{
    unsigned long long id = first->id;
    if (length < 2 || first[0].phase != 's' || first[length - 1].phase != 'f')
        FAIL("flow %llu does not begin and end", id);
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && i + 1 < length && first[i].phase != 't')
            FAIL("flow %llu begins or ends twice", id);
        if (!span_at(first[i].tid, first[i].at))
            FAIL("flow %llu passes no span in lane '%s' of %s", id, lane_name(first[i].tid),
                 process_of(first[i].pid)->name);
        if (i == 0)
            continue;
        const int64_t takes = first[i].at - first[i - 1].at;
        if (takes < -tolerated_ns)
            FAIL("flow %llu goes back by %lld ns", id, (long long)-takes);
        if (is_ps(first[i].pid) != is_ps(first[i - 1].pid)) {
            int64_t *least = &quickest[first[i - 1].pid % PROCESSES_MAX][first[i].pid % PROCESSES_MAX];
            if (*least == 0 || takes < *least)
                *least = takes;
        }
    }
}

static void check_flows(void)
{
    qsort(hops, hop_count, sizeof *hops, by_flow);
    for (size_t i = 0, next; i < hop_count; i = next) {
        for (next = i; next < hop_count && hops[next].id == hops[i].id; next++)
            ;
        check_flow(&hops[i], next - i);
    }
}

/* ---- updates ---- */

/* A flow through an update, and where it comes from. */
typedef struct {
    const span *update;
    uint64_t from;
} arrival;

static int by_update(const void *left, const void *right)
{
    const arrival *a = left, *b = right;
    if (a->update != b->update)
        return a->update < b->update ? -1 : 1;
    return a->from < b->from ? -1 : a->from > b->from;
}

static void check_updates(void)
{
    arrival *arrivals = calloc(hop_count + 1, sizeof *arrivals);
    size_t found = 0;
    uint64_t from = 0;
    for (size_t i = 0; arrivals && i < hop_count; i++) {
        if (hops[i].phase == 's')
            from = hops[i].pid;
        const span *s = span_at(hops[i].tid, hops[i].at);
        if (s && s->gradients >= 0)
            arrivals[found++] = (arrival){.update = s, .from = from};
    }
    qsort(arrivals, found, sizeof *arrivals, by_update);
    size_t at = 0;
    for (size_t i = 0; i < span_count; i++) {
        if (spans[i].gradients < 0)
            continue;
        int64_t sources = 0;
        for (; at < found && arrivals[at].update == &spans[i]; at++)
            sources += at == 0 || by_update(&arrivals[at - 1], &arrivals[at]) != 0;
        if (sources != spans[i].gradients)
            FAIL("an update of %s took %lld gradients, but pushes come from %lld processes",
                 process_of(spans[i].pid)->name, (long long)spans[i].gradients, (long long)sources);
    }
    free(arrivals);
}

/* ---- the answer ---- */

static void say(void)
{
    for (size_t i = 1; i < PROCESSES_MAX; i++) {
        const process *p = &processes[i];
        for (size_t k = 0; k < p->name_count; k++)
            printf("count %s %s %llu\n", p->name ? p->name : "?", p->names[k].name,
                   (unsigned long long)p->names[k].count);
    }
    for (uint64_t i = 1; i < PROCESSES_MAX; i++)
        for (uint64_t k = 1; k < PROCESSES_MAX; k++)
            if (!is_ps(i) && quickest[i][k] != 0 && quickest[k][i] != 0)
                printf("clocks %s %s %.1f\n", processes[i].name, processes[k].name,
                       (double)(quickest[i][k] > quickest[k][i] ? quickest[i][k] : quickest[k][i]) * 1e-3);
}

int main(int argc, char **argv)
{
    char *bytes;
    size_t size;
    json *root;
    ps_error error;
    if (argc != 2) {
        fprintf(stderr, "usage: check_trace FILE\n");
        return PS_EXIT_USAGE;
    }
    const json_options strict = {.source = argv[1], .max_bytes = FILE_MAX};
    if (file_read(argv[1], FILE_MAX, &bytes, &size, &error) != PS_OK ||
        json_parse(bytes, size, &strict, &root, NULL, &error) != PS_OK) {
        printf("WRONG: %s\n", error.text);
        return PS_EXIT_FAILURE;
    }
    const json *events = json_find(root, "traceEvents");
    const double uncertain_us = number(json_find(root, "otherData"), "clocks_uncertain_us");
    tolerated_ns = CLOCKS_US * 1000 + llround(uncertain_us * 1000); /* of several hosts' clocks; else 0 */
    const size_t total = json_count(events) + 1;
    spans = calloc(total, sizeof *spans);
    hops = calloc(total, sizeof *hops);
    lanes = calloc(total, sizeof *lanes);
    if (!spans || !hops || !lanes) {
        printf("WRONG: out of memory\n");
        return PS_EXIT_FAILURE;
    }
    for (const json *event = json_first(events); event; event = json_next(event))
        take(event);
    qsort(spans, span_count, sizeof *spans, by_place);
    check_nesting();
    check_flows();
    check_updates();
    say();
    if (span_count == 0)
        FAIL("there are no spans");
    json_free(&root);
    free(bytes);
    free(spans);
    free(hops);
    free(lanes);
    return failures ? PS_EXIT_FAILURE : PS_EXIT_DONE;
}
