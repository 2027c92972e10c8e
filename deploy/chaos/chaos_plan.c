/* chaos_plan.c - see chaos_plan.h. */
#include "deploy/chaos/chaos_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

enum { NAME_BYTES = 64 };

static const struct {
    const char *name;
    fault_reach reach;
    bool lasts;
} kinds[] = {
#define FAULT_ROW(kind, name, disturbs, lasts) [kind] = {name, DISTURBS_##disturbs, lasts},
    FAULT_LIST(FAULT_ROW)
#undef FAULT_ROW
};

static const char *const clocks[] = {
    [AT_STEP] = "step", [AT_FRACTION] = "fraction", [AT_SECONDS] = "seconds"};
static const char *const directions[] = {[CHAOS_UP] = "up", [CHAOS_DOWN] = "down", [CHAOS_BOTH] = "both"};

enum { CLOCKS = sizeof clocks / sizeof clocks[0], DIRECTIONS = sizeof directions / sizeof directions[0] };

const char *fault_kind_name(fault_kind kind)
{
    return kinds[kind].name;
}

fault_reach fault_kind_reach(fault_kind kind)
{
    return kinds[kind].reach;
}

bool fault_kind_lasts(fault_kind kind)
{
    return kinds[kind].lasts;
}

bool fault_kind_takes_packets(fault_kind kind)
{
    return kind == FAULT_LOSS || kind == FAULT_REORDER;
}

const char *fault_target(const fault *f, char text[CHAOS_TARGET_MAX])
{
    if (f->worker == CHAOS_ANY)
        snprintf(text, CHAOS_TARGET_MAX, "ps-%zu", f->server);
    else if (f->server == CHAOS_ANY)
        snprintf(text, CHAOS_TARGET_MAX, "worker-%zu", f->worker);
    else
        snprintf(text, CHAOS_TARGET_MAX, "worker-%zu/ps-%zu", f->worker, f->server);
    return text;
}

/* ---- reading ---- */

/* Where in the plan a reader is, for its messages. */
typedef struct {
    const char *source;
    size_t number; /* of the fault, from 1 on */
    size_t workers, servers;
} place;

/* "plan.json: fault 3: for" */
static const char *name_of(const place *at, const char *key, char text[NAME_BYTES * 4])
{
    snprintf(text, NAME_BYTES * 4, "%.120s: fault %zu: %.60s", at->source, at->number, key);
    return text;
}

static ps_status read_within(const place *at, const json *from, const char *key, double least, double most,
                             double *number, ps_error *error)
{
    char name[NAME_BYTES * 4];
    ps_status status = json_as_number(json_find(from, key), name_of(at, key, name), number, error);
    if (status == PS_OK && !(*number >= least && *number <= most))
        status = ps_fail(error, PS_EFORMAT, "%s is %g, not from %g to %g", name, *number, least, most);
    return status;
}

static ps_status read_time(const place *at, const json *fault_text, fault *f, ps_error *error)
{
    char name[NAME_BYTES * 4];
    const json *when = json_find(fault_text, "at");
    ps_status status = json_as_object(when, name_of(at, "at", name), error);
    if (status != PS_OK)
        return status;
    const json *only = json_count(when) == 1 ? json_first(when) : NULL;
    for (int i = 0; only && i < CLOCKS; i++) {
        if (strcmp(json_key(only), clocks[i]) != 0)
            continue;
        f->clock = (fault_clock)i;
        return read_within(at, when, clocks[i], 0, i == AT_FRACTION ? 1 : 1e9, &f->at, error);
    }
    return ps_fail(error, PS_EFORMAT, "%s needs one of step, fraction and seconds", name);
}

/* "ps-0" from *text on; leaves it behind. */
static bool read_process(const char **text, const char *role, size_t count, size_t *index)
{
    size_t length = strlen(role);
    if (strncmp(*text, role, length) != 0 || (*text)[length] != '-')
        return false;
    const char *digits = *text + length + 1;
    char *end;
    if (*digits < '0' || *digits > '9')
        return false;
    unsigned long value = strtoul(digits, &end, 10);
    *text = end;
    *index = value;
    return value < count;
}

static ps_status read_target(const place *at, const json *fault_text, fault *f, ps_error *error)
{
    char name[NAME_BYTES * 4];
    const char *target;
    ps_status status =
        json_as_string(json_find(fault_text, "target"), name_of(at, "target", name), &target, error);
    if (status != PS_OK)
        return status;
    const char *rest = target;
    fault_reach reach = fault_kind_reach(f->kind);
    f->worker = f->server = CHAOS_ANY;
    bool good = false;
    if (read_process(&rest, "worker", at->workers, &f->worker)) {
        good = *rest == '\0' && reach != DISTURBS_DISK;
        if (*rest == '/' && reach == DISTURBS_LINK) {
            rest++;
            good = read_process(&rest, "ps", at->servers, &f->server) && *rest == '\0';
        }
    } else if (f->worker == CHAOS_ANY) {
        good = read_process(&rest, "ps", at->servers, &f->server) && *rest == '\0';
    }
    return good ? PS_OK
                : ps_fail(error, PS_EFORMAT, "%s: '%.40s' is no %s of %zu workers and %zu ps", name, target,
                          reach == DISTURBS_LINK   ? "link (worker-0/ps-0, worker-0, ps-0)"
                          : reach == DISTURBS_DISK ? "ps (ps-0)"
                                                   : "process (worker-0, ps-0)",
                          at->workers, at->servers);
}

static ps_status read_kind(const place *at, const json *fault_text, fault *f, ps_error *error)
{
    char name[NAME_BYTES * 4];
    const char *text;
    ps_status status = json_as_string(json_find(fault_text, "do"), name_of(at, "do", name), &text, error);
    if (status != PS_OK)
        return status;
    for (int i = 0; i < FAULT_KINDS; i++) {
        f->kind = (fault_kind)i;
        if (strcmp(text, kinds[i].name) == 0)
            return PS_OK;
    }
    return ps_fail(error, PS_EFORMAT, "%s: there is no fault '%.40s'", name, text);
}

static ps_status read_direction(const place *at, const json *fault_text, fault *f, ps_error *error)
{
    char name[NAME_BYTES * 4];
    const char *text;
    ps_status status =
        json_as_string(json_find(fault_text, "direction"), name_of(at, "direction", name), &text, error);
    if (status != PS_OK)
        return status;
    for (int i = CHAOS_UP; i <= CHAOS_DOWN; i++) {
        f->direction = (chaos_direction)i;
        if (strcmp(text, directions[i]) == 0)
            return PS_OK;
    }
    return ps_fail(error, PS_EFORMAT, "%s is '%.40s', not up or down", name, text);
}

/* What else this kind of fault is told. */
static ps_status read_details(const place *at, const json *text, fault *f, ps_error *error)
{
    double seconds = 0, delay = 0, jitter = 0, rate = 0;
    const bool delays = f->kind == FAULT_DELAY || f->kind == FAULT_REORDER;
    ps_status status = PS_OK;
    f->direction = CHAOS_BOTH;
    if (kinds[f->kind].lasts)
        status = read_within(at, text, "for", 0.001, CHAOS_FOR_MAX_S, &seconds, error);
    if (status == PS_OK && f->kind == FAULT_PARTITION)
        status = read_direction(at, text, f, error);
    if (status == PS_OK && delays)
        status = read_within(at, text, "delay_ms", 0, CHAOS_DELAY_MAX_MS, &delay, error);
    if (status == PS_OK && f->kind == FAULT_DELAY)
        status = read_within(at, text, "jitter_ms", 0, CHAOS_DELAY_MAX_MS, &jitter, error);
    if (status == PS_OK && f->kind == FAULT_THROTTLE)
        status = read_within(at, text, "bytes_per_s", 1, 1e12, &rate, error);
    if (status == PS_OK && fault_kind_takes_packets(f->kind))
        status = read_within(at, text, "percent", 0, 100, &f->percent, error);
    f->for_ms = (uint32_t)lround(seconds * 1000);
    f->delay_ms = (uint32_t)delay;
    f->jitter_ms = (uint32_t)jitter;
    f->bytes_per_s = (uint64_t)rate;
    return status;
}

/* A key that nobody reads is a mistake. */
static ps_status check_keys(const place *at, const json *text, const fault *f, ps_error *error)
{
    static const struct {
        const char *key;
        unsigned of; /* kinds, as bits; 0: all */
    } known[] = {
        {"at", 0},
        {"do", 0},
        {"target", 0},
        {"direction", 1u << FAULT_PARTITION},
        {"delay_ms", 1u << FAULT_DELAY | 1u << FAULT_REORDER},
        {"jitter_ms", 1u << FAULT_DELAY},
        {"bytes_per_s", 1u << FAULT_THROTTLE},
        {"percent", 1u << FAULT_LOSS | 1u << FAULT_REORDER},
    };
    for (const json *entry = json_first(text); entry; entry = json_next(entry)) {
        bool good = strcmp(json_key(entry), "for") == 0 && kinds[f->kind].lasts;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            good |= strcmp(json_key(entry), known[i].key) == 0 &&
                    (known[i].of == 0 || (known[i].of >> f->kind & 1));
        if (!good)
            return ps_fail(error, PS_EFORMAT, "%s: fault %zu: '%s' has no key '%.40s'", at->source,
                           at->number, kinds[f->kind].name, json_key(entry));
    }
    return PS_OK;
}

static ps_status read_fault(const place *at, const json *text, fault *f, ps_error *error)
{
    char name[NAME_BYTES * 4];
    *f = (fault){0};
    ps_status status = json_as_object(text, name_of(at, "it", name), error);
    if (status == PS_OK)
        status = read_kind(at, text, f, error);
    if (status == PS_OK)
        status = check_keys(at, text, f, error);
    if (status == PS_OK)
        status = read_time(at, text, f, error);
    if (status == PS_OK)
        status = read_target(at, text, f, error);
    if (status == PS_OK)
        status = read_details(at, text, f, error);
    return status;
}

static ps_status read_plan(const json *root, place *at, chaos_plan *plan, ps_error *error)
{
    const json *list = root;
    ps_status status = PS_OK;
    if (json_type_of(root) == JSON_OBJECT) {
        const json *shared = json_find(root, "shared_memory");
        list = json_find(root, "faults");
        if (shared)
            status = json_as_bool(shared, "shared_memory", &plan->share_memory, error);
        if (status == PS_OK && json_count(root) != 1 + (shared != NULL))
            status = ps_fail(error, PS_EFORMAT, "%s: a plan has the keys faults and shared_memory only",
                             at->source);
    }
    if (status == PS_OK)
        status = json_as_list(list, "faults", error);
    if (status == PS_OK && json_count(list) > CHAOS_FAULTS_MAX)
        status = ps_fail(error, PS_ELIMIT, "%s: more than %d faults", at->source, CHAOS_FAULTS_MAX);
    if (status != PS_OK)
        return status;
    for (const json *each = json_first(list); each && status == PS_OK; each = json_next(each)) {
        at->number = plan->count + 1;
        status = read_fault(at, each, &plan->faults[plan->count], error);
        plan->count += status == PS_OK;
    }
    return status;
}

ps_status chaos_plan_parse(const char *text, size_t bytes, const char *source, size_t workers, size_t servers,
                           chaos_plan *plan, ps_error *error)
{
    const json_options options = {.source = source, .max_bytes = CHAOS_PLAN_BYTES_MAX};
    json *root = NULL;
    place at = {.source = source, .workers = workers, .servers = servers};
    plan->share_memory = true;
    plan->count = 0;
    ps_status status = json_parse(text, bytes, &options, &root, NULL, error);
    if (status == PS_OK)
        status = read_plan(root, &at, plan, error);
    json_free(&root);
    return status;
}

/* ---- writing ---- */

void chaos_plan_write(const chaos_plan *plan, FILE *to)
{
    char target[CHAOS_TARGET_MAX];
    fprintf(to, "{\"shared_memory\": %s,\n \"faults\": [", plan->share_memory ? "true" : "false");
    for (size_t i = 0; i < plan->count; i++) {
        const fault *f = &plan->faults[i];
        fprintf(to, "%s\n  {\"at\": {\"%s\": %.15g}, \"do\": \"%s\", \"target\": \"%s\"", i > 0 ? "," : "",
                clocks[f->clock], f->at, kinds[f->kind].name, fault_target(f, target));
        if (kinds[f->kind].lasts)
            fprintf(to, ", \"for\": %.3f", (double)f->for_ms / 1000);
        if (f->kind == FAULT_PARTITION)
            fprintf(to, ", \"direction\": \"%s\"", directions[f->direction]);
        if (f->kind == FAULT_DELAY)
            fprintf(to, ", \"delay_ms\": %u, \"jitter_ms\": %u", f->delay_ms, f->jitter_ms);
        if (f->kind == FAULT_THROTTLE)
            fprintf(to, ", \"bytes_per_s\": %llu", (unsigned long long)f->bytes_per_s);
        if (fault_kind_takes_packets(f->kind))
            fprintf(to, ", \"percent\": %.15g", f->percent);
        if (f->kind == FAULT_REORDER)
            fprintf(to, ", \"delay_ms\": %u", f->delay_ms);
        fprintf(to, "}");
    }
    fprintf(to, "\n ]}\n");
}
