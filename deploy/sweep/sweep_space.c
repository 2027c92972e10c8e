/* sweep_space.c - see sweep_space.h. */
#include "deploy/sweep/sweep_space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/plain_text.h"
#include "deploy/number_text.h"

enum { VERSION = 1, LABEL_BYTES = 256, DEFAULT_FAILURES = 5, DEFAULT_OTHERS = 3 };

static const char *const reserved_of_worker[] = {"output-dir", "progress-fd",  "logdir",       "cluster",
                                                 "task",       "check-config", "list-devices", "help",
                                                 "usage",      "version"};
static const char *const reserved_of_run[] = {"run-dir", "progress-file", "logdir", "check",
                                              "help",    "usage",         "version"};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static const char *const ranges[] = {[RANGE_CHOICE] = "choice",
                                     [RANGE_INT] = "int",
                                     [RANGE_LOG_INT] = "log_int",
                                     [RANGE_UNIFORM] = "uniform",
                                     [RANGE_LOG_UNIFORM] = "log_uniform"};

bool sweep_space_reserves(bool of_run, const char *name, size_t length)
{
    const char *const *list = of_run ? reserved_of_run : reserved_of_worker;
    const size_t count = of_run ? COUNT(reserved_of_run) : COUNT(reserved_of_worker);
    for (size_t i = 0; i < count && length > 0; i++)
        if (strncmp(list[i], name, length) == 0)
            return true;
    return false;
}

/* ---- keys and names -------------------------------------------------------------------------------- */

/* "space.json: training.batch-size.step", for messages. */
static const char *label(char text[LABEL_BYTES], const char *place, const char *key)
{
    snprintf(text, LABEL_BYTES, "%.180s%s%.60s", place, strstr(place, ": ") ? "." : ": ", key);
    return text;
}

/* A key that nobody reads is a mistake. */
static ps_status check_keys(const json *object, const char *place, const char *const *known, size_t count,
                            ps_error *error)
{
    for (const json *entry = json_first(object); entry; entry = json_next(entry)) {
        bool found = false;
        for (size_t i = 0; i < count; i++)
            found |= strcmp(json_key(entry), known[i]) == 0;
        if (!found)
            return ps_fail(error, PS_EFORMAT, "%s: there is no key '%.60s' here", place, json_key(entry));
    }
    return PS_OK;
}

/* A whole number that need not be given: `*number` is then as it was. */
static ps_status read_count(const json *from, const char *place, const char *key, int64_t least, int64_t most,
                            uint32_t *number, ps_error *error)
{
    char name[LABEL_BYTES];
    const json *value = json_find(from, key);
    int64_t wide;
    if (!value)
        return PS_OK;
    ps_status status = json_as_integer(value, label(name, place, key), least, most, &wide, error);
    if (status == PS_OK)
        *number = (uint32_t)wide;
    return status;
}

/* One of a list of words that need not be given: `*index` is then as it was. */
static ps_status read_word(const json *from, const char *place, const char *key, const char *const *words,
                           size_t count, size_t *index, ps_error *error)
{
    char name[LABEL_BYTES];
    const json *value = json_find(from, key);
    const char *text;
    if (!value)
        return PS_OK;
    ps_status status = json_as_string(value, label(name, place, key), &text, error);
    if (status != PS_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *index = i;
            return PS_OK;
        }
    }
    return ps_fail(error, PS_EFORMAT, "%s is '%.60s', not %s or %s", name, text, words[0], words[count - 1]);
}

/* ---- the values of an option ----------------------------------------------------------------------- */

static ps_status read_choice(const json *value, const char *place, sweep_parameter *p, ps_error *error)
{
    char *text = p->choices[p->choice_count];
    const char *given;
    double number;
    switch (json_type_of(value)) {
    case JSON_BOOL: {
        bool truth;
        json_as_bool(value, place, &truth, NULL);
        snprintf(text, SWEEP_VALUE_BYTES, "%s", truth ? "true" : "false");
        break;
    }
    case JSON_NUMBER:
        json_as_number(value, place, &number, NULL);
        number_text(number, text);
        break;
    case JSON_STRING:
        json_as_string(value, place, &given, NULL);
        if (strlen(given) >= SWEEP_VALUE_BYTES)
            return ps_fail(error, PS_ELIMIT, "%s: '%.40s...' is longer than %d bytes", place, given,
                           SWEEP_VALUE_BYTES - 1);
        for (const char *c = given; *c; c++)
            if (is_control_character(*c))
                return ps_fail(error, PS_EFORMAT, "%s: '%.60s' has control characters", place, given);
        snprintf(text, SWEEP_VALUE_BYTES, "%s", given);
        break;
    default:
        return ps_fail(error, PS_EFORMAT, "%s: a choice is text, a number, true or false, not %s", place,
                       json_type_name(value));
    }
    for (size_t i = 0; i < p->choice_count; i++)
        if (strcmp(p->choices[i], text) == 0)
            return ps_fail(error, PS_EFORMAT, "%s: '%.60s' is given twice", place, text);
    if (p->choice_count > 0 && p->flag != (json_type_of(value) == JSON_BOOL))
        return ps_fail(error, PS_EFORMAT,
                       "%s: true and false choose whether an option without value is given; "
                       "they do not go with other values",
                       place);
    p->flag = json_type_of(value) == JSON_BOOL;
    p->choice_count++;
    return PS_OK;
}

static ps_status read_choices(const json *list, const char *place, sweep_parameter *p, ps_error *error)
{
    ps_status status = json_as_list(list, place, error);
    const size_t count = status == PS_OK ? json_count(list) : 0;
    if (status == PS_OK && (count == 0 || count > SWEEP_CHOICES_MAX))
        status = ps_fail(error, count == 0 ? PS_EFORMAT : PS_ELIMIT, "%s: %zu values, not 1 to %d", place,
                         count, SWEEP_CHOICES_MAX);
    for (const json *each = count > 0 ? json_first(list) : NULL; each && status == PS_OK;
         each = json_next(each))
        status = read_choice(each, place, p, error);
    return status;
}

static bool counts(const sweep_parameter *p)
{
    return p->range == RANGE_INT || p->range == RANGE_LOG_INT;
}

static ps_status read_ends(const json *list, const char *place, sweep_parameter *p, ps_error *error)
{
    const bool logarithmic = p->range == RANGE_LOG_INT || p->range == RANGE_LOG_UNIFORM;
    ps_status status = json_as_list(list, place, error);
    if (status == PS_OK && json_count(list) != 2)
        status = ps_fail(error, PS_EFORMAT, "%s: a range is a list of two numbers, [low, high]", place);
    if (status == PS_OK)
        status = json_as_number(json_first(list), place, &p->low, error);
    if (status == PS_OK)
        status = json_as_number(json_next(json_first(list)), place, &p->high, error);
    if (status != PS_OK)
        return status;
    if (!(p->low < p->high))
        return ps_fail(error, PS_EFORMAT, "%s: %g is not below %g", place, p->low, p->high);
    if (logarithmic && p->low <= 0)
        return ps_fail(error, PS_EFORMAT, "%s: a logarithmic range begins above 0, not at %g", place, p->low);
    if (counts(p) && (floor(p->low) != p->low || floor(p->high) != p->high ||
                      fmax(fabs(p->low), fabs(p->high)) > (double)JSON_INTEGER_MAX))
        return ps_fail(error, PS_EFORMAT, "%s: %g and %g are not both whole numbers", place, p->low, p->high);
    if (!isfinite(p->high - p->low))
        return ps_fail(error, PS_EFORMAT, "%s: the range from %g to %g is too wide", place, p->low, p->high);
    return PS_OK;
}

static ps_status read_step(const json *from, const char *place, sweep_parameter *p, ps_error *error)
{
    char name[LABEL_BYTES];
    const json *value = json_find(from, "step");
    if (p->range == RANGE_INT)
        p->step = 1;
    if (!value)
        return PS_OK;
    ps_status status = json_as_number(value, label(name, place, "step"), &p->step, error);
    if (status != PS_OK)
        return status;
    if (p->range != RANGE_INT && p->range != RANGE_UNIFORM)
        return ps_fail(error, PS_EFORMAT, "%s goes with int and uniform alone", name);
    if (!(p->step > 0 && p->step <= p->high - p->low) || (counts(p) && floor(p->step) != p->step))
        return ps_fail(error, PS_EFORMAT, "%s is %g, not a%s number above 0 within the range", name, p->step,
                       counts(p) ? " whole" : "");
    return PS_OK;
}

/* The one key that says what kind of values there are. */
static ps_status read_range(const json *from, const char *place, sweep_parameter *p, const json **value,
                            ps_error *error)
{
    size_t found = 0;
    for (size_t i = 0; i < COUNT(ranges); i++) {
        const json *given = json_find(from, ranges[i]);
        if (!given)
            continue;
        p->range = (sweep_range)i;
        *value = given;
        found++;
    }
    return found == 1 ? PS_OK
                      : ps_fail(error, PS_EFORMAT,
                                "%s needs one of choice, int, log_int, uniform and log_uniform", place);
}

static ps_status read_values(const json *from, const char *place, sweep_method method, sweep_parameter *p,
                             ps_error *error)
{
    static const char *const of_choices[] = {"choice"};
    const char *const of_range[] = {
        ranges[RANGE_INT], ranges[RANGE_LOG_INT], ranges[RANGE_UNIFORM], ranges[RANGE_LOG_UNIFORM], "step",
        "points"};
    char name[LABEL_BYTES];
    const json *value = NULL;
    ps_status status = json_as_object(from, place, error);
    if (status == PS_OK)
        status = read_range(from, place, p, &value, error);
    if (status != PS_OK)
        return status;
    label(name, place, ranges[p->range]);
    if (p->range == RANGE_CHOICE) {
        status = check_keys(from, place, of_choices, COUNT(of_choices), error);
        return status == PS_OK ? read_choices(value, name, p, error) : status;
    }
    status = check_keys(from, place, of_range, COUNT(of_range), error);
    if (status == PS_OK)
        status = read_ends(value, name, p, error);
    if (status == PS_OK)
        status = read_step(from, place, p, error);
    if (status == PS_OK)
        status = read_count(from, place, "points", 2, SWEEP_POINTS_MAX, &p->points, error);
    if (status == PS_OK && p->points > 0 && json_find(from, "step"))
        status = ps_fail(error, PS_EFORMAT, "%s: step and points exclude each other", place);
    if (status == PS_OK && method == SWEEP_GRID && p->points == 0 && p->step == 0)
        status = ps_fail(error, PS_EFORMAT, "%s: in a grid %s needs points%s", place, ranges[p->range],
                         p->range == RANGE_UNIFORM ? " or step" : "");
    return status;
}

/* ---- the options ----------------------------------------------------------------------------------- */

static ps_status read_name(const char *key, const char *place, sweep_parameter *p, ps_error *error)
{
    const size_t length = strlen(key);
    const size_t good = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (length == 0 || good != length || key[0] == '-' || length >= SWEEP_NAME_BYTES)
        return ps_fail(error, PS_EFORMAT,
                       "%s: '%.80s' is no name of an option: lower-case letters, digits and '-', without the "
                       "dashes before them",
                       place, key);
    if (sweep_space_reserves(p->of_run, key, length))
        return ps_fail(error, PS_EFORMAT, "%s: '%s' is not for a sweep to choose", place, key);
    snprintf(p->name, sizeof p->name, "%s", key);
    return PS_OK;
}

static ps_status read_parameters(const json *root, const char *source, bool of_run, sweep_space *space,
                                 ps_error *error)
{
    char group[LABEL_BYTES], place[LABEL_BYTES];
    const char *key = of_run ? "run" : "training";
    const json *object = json_find(root, key);
    if (!object)
        return PS_OK;
    ps_status status = json_as_object(object, label(group, source, key), error);
    if (status != PS_OK)
        return status;
    for (const json *each = json_first(object); each; each = json_next(each)) {
        if (space->parameter_count == SWEEP_PARAMETERS_MAX)
            return ps_fail(error, PS_ELIMIT, "%s: more than %d options", source, SWEEP_PARAMETERS_MAX);
        sweep_parameter *p = &space->parameters[space->parameter_count++];
        p->of_run = of_run;
        status = read_name(json_key(each), group, p, error);
        if (status == PS_OK)
            status = read_values(each, label(place, group, json_key(each)), space->method, p, error);
        if (status != PS_OK)
            return status;
    }
    return PS_OK;
}

/* ---- goal, stopping, budget ------------------------------------------------------------------------ */

static ps_status read_goal(const json *root, const char *source, sweep_goal *goal, ps_error *error)
{
    static const char *const metrics[] = {[SWEEP_ACCURACY] = "accuracy", [SWEEP_LOSS] = "loss"};
    static const char *const directions[] = {"maximize", "minimize"};
    static const char *const keys[] = {"metric", "direction"};
    char place[LABEL_BYTES];
    const json *object = json_find(root, "goal");
    size_t metric = SWEEP_ACCURACY;
    if (!object)
        return PS_OK;
    ps_status status = json_as_object(object, label(place, source, "goal"), error);
    if (status == PS_OK)
        status = check_keys(object, place, keys, COUNT(keys), error);
    if (status == PS_OK)
        status = read_word(object, place, "metric", metrics, COUNT(metrics), &metric, error);
    size_t direction = metric == SWEEP_LOSS;
    if (status == PS_OK)
        status = read_word(object, place, "direction", directions, COUNT(directions), &direction, error);
    *goal = (sweep_goal){.metric = (sweep_metric)metric, .minimize = direction == 1};
    return status;
}

static ps_status read_slack(const json *from, const char *place, sweep_stopping *s, ps_error *error)
{
    char name[LABEL_BYTES];
    ps_status status =
        json_as_number(json_find(from, "slack"), label(name, place, "slack"), &s->slack, error);
    if (status == PS_OK && !(s->slack >= 0 && s->slack <= 1e6))
        status = ps_fail(error, PS_EFORMAT, "%s is %g, not 0 or more", name, s->slack);
    return status;
}

static ps_status read_stopping(const json *root, const char *source, sweep_stopping *s, ps_error *error)
{
    static const char *const policies[] = {"median", "bandit"};
    static const char *const of_median[] = {"policy", "grace", "interval", "others"};
    static const char *const of_bandit[] = {"policy", "grace", "interval", "slack"};
    char place[LABEL_BYTES];
    const json *object = json_find(root, "early_stopping");
    size_t policy = COUNT(policies);
    *s = (sweep_stopping){.grace = 1, .interval = 1, .others = DEFAULT_OTHERS};
    if (!object)
        return PS_OK;
    ps_status status = json_as_object(object, label(place, source, "early_stopping"), error);
    if (status == PS_OK)
        status = read_word(object, place, "policy", policies, COUNT(policies), &policy, error);
    if (status == PS_OK && policy == COUNT(policies))
        status = ps_fail(error, PS_EFORMAT, "%s: policy is missing; it must be median or bandit", place);
    if (status != PS_OK)
        return status;
    s->policy = policy == 0 ? STOPPING_MEDIAN : STOPPING_BANDIT;
    status = check_keys(object, place, policy == 0 ? of_median : of_bandit, COUNT(of_median), error);
    if (status == PS_OK)
        status = read_count(object, place, "grace", 1, SWEEP_EPOCHS_MAX, &s->grace, error);
    if (status == PS_OK)
        status = read_count(object, place, "interval", 1, SWEEP_EPOCHS_MAX, &s->interval, error);
    if (status == PS_OK)
        status = read_count(object, place, "others", 1, SWEEP_TRIALS_MAX, &s->others, error);
    if (status == PS_OK && s->policy == STOPPING_BANDIT)
        status = read_slack(object, place, s, error);
    return status;
}

static ps_status read_budget(const json *root, const char *source, sweep_space *space, ps_error *error)
{
    static const char *const keys[] = {"seconds", "failures"};
    char place[LABEL_BYTES], name[LABEL_BYTES];
    const json *object = json_find(root, "budget");
    space->failures = DEFAULT_FAILURES;
    if (!object)
        return PS_OK;
    ps_status status = json_as_object(object, label(place, source, "budget"), error);
    if (status == PS_OK)
        status = check_keys(object, place, keys, COUNT(keys), error);
    if (status == PS_OK)
        status = read_count(object, place, "failures", 0, SWEEP_TRIALS_MAX, &space->failures, error);
    const json *seconds = json_find(object, "seconds");
    if (status == PS_OK && seconds) {
        status = json_as_number(seconds, label(name, place, "seconds"), &space->seconds, error);
        if (status == PS_OK && !(space->seconds > 0 && space->seconds <= SWEEP_SECONDS_MAX))
            status = ps_fail(error, PS_EFORMAT, "%s is %g, not above 0 and at most %d", name, space->seconds,
                             SWEEP_SECONDS_MAX);
    }
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------------- */

static ps_status read_method(const json *root, const char *source, sweep_space *space, ps_error *error)
{
    static const char *const methods[] = {[SWEEP_RANDOM] = "random", [SWEEP_GRID] = "grid"};
    char name[LABEL_BYTES];
    size_t method = COUNT(methods);
    int64_t seed = 1;
    ps_status status = read_word(root, source, "method", methods, COUNT(methods), &method, error);
    if (status == PS_OK && method == COUNT(methods))
        status = ps_fail(error, PS_EFORMAT, "%s: method is missing; it must be random or grid", source);
    if (status == PS_OK)
        status = read_count(root, source, "trials", 1, SWEEP_TRIALS_MAX, &space->trials, error);
    if (status == PS_OK && method == SWEEP_RANDOM && space->trials == 0)
        status = ps_fail(error, PS_EFORMAT, "%s: random needs trials: how many at most, up to %d", source,
                         SWEEP_TRIALS_MAX);
    if (status == PS_OK && json_find(root, "seed"))
        status = json_as_integer(json_find(root, "seed"), label(name, source, "seed"), 0, JSON_INTEGER_MAX,
                                 &seed, error);
    space->method = (sweep_method)method;
    space->seed = (uint64_t)seed;
    return status;
}

static ps_status read_space(const json *root, const char *source, sweep_space *space, ps_error *error)
{
    static const char *const keys[] = {"version",  "method", "trials",         "seed",  "goal",
                                       "training", "run",    "early_stopping", "budget"};
    char name[LABEL_BYTES];
    int64_t version;
    ps_status status = json_as_object(root, source, error);
    if (status == PS_OK)
        status = json_as_integer(json_find(root, "version"), label(name, source, "version"), VERSION, VERSION,
                                 &version, error);
    if (status == PS_OK)
        status = check_keys(root, source, keys, COUNT(keys), error);
    if (status == PS_OK)
        status = read_method(root, source, space, error);
    if (status == PS_OK)
        status = read_goal(root, source, &space->goal, error);
    if (status == PS_OK)
        status = read_parameters(root, source, true, space, error);
    if (status == PS_OK)
        status = read_parameters(root, source, false, space, error);
    if (status == PS_OK && space->parameter_count == 0)
        status = ps_fail(error, PS_EFORMAT, "%s: neither training nor run names an option to try", source);
    if (status == PS_OK)
        status = read_stopping(root, source, &space->stopping, error);
    if (status == PS_OK)
        status = read_budget(root, source, space, error);
    return status;
}

ps_status sweep_space_parse(const char *text, size_t bytes, const char *source, sweep_space **space,
                            ps_error *error)
{
    const json_options options = {.source = source, .max_bytes = SWEEP_SPACE_BYTES_MAX};
    json *root = NULL;
    *space = NULL;
    ps_status status = json_parse(text, bytes, &options, &root, NULL, error);
    sweep_space *read = status == PS_OK ? calloc(1, sizeof *read) : NULL;
    if (status == PS_OK && !read)
        status = ps_fail(error, PS_ENOMEM, "%s: out of memory", source);
    if (status == PS_OK)
        status = read_space(root, source, read, error);
    json_free(&root);
    if (status == PS_OK)
        *space = read;
    else
        free(read);
    return status;
}
