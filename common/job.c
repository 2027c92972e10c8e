/* job.c - see job.h. One table of fields, with their ranges, drives both the check and the comparison;
 * what a range cannot say about a job stands beside it in check_relations. */
#include "common/job.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/name_list.h"

#define DEFINE_NAMES(type, list, noun)                                                          \
    static_assert(sizeof(type) == sizeof(uint32_t), "the field table reads enums as uint32_t"); \
    NAME_LIST_DEFINE(type, type, list, noun)

DEFINE_NAMES(consistency_mode, CONSISTENCY_LIST, "consistency mode")
DEFINE_NAMES(optimizer_kind, OPTIMIZER_LIST, "optimizer")
DEFINE_NAMES(schedule_kind, SCHEDULE_LIST, "schedule")
DEFINE_NAMES(guard_policy, GUARD_LIST, "guard policy")
DEFINE_NAMES(loss_policy, LOSS_LIST, "policy for lost workers")
DEFINE_NAMES(initializer_kind, INITIALIZER_LIST, "initializer")

static_assert(sizeof(codec_kind) == sizeof(uint32_t), "the field table reads enums as uint32_t");

typedef enum { FIELD_U32, FIELD_U64, FIELD_REAL, FIELD_NAME, FIELD_CODEC } field_type;

/* A number of job_config: integers lie in [least, most]; reals too, without the ends that are open. */
typedef struct {
    const char *name;
    size_t offset;
    field_type type;
    const name_list *names; /* FIELD_NAME */
    uint64_t least, most;   /* FIELD_U32, FIELD_U64 */
    double low, high;       /* FIELD_REAL */
    bool open_low, open_high;
} field;

#define U32(member, from, to)                                                                      \
    {                                                                                              \
        .name = #member, .offset = offsetof(job_config, member), .type = FIELD_U32, .least = from, \
        .most = to                                                                                 \
    }
#define U64(member)                                                                                    \
    {                                                                                                  \
        .name = #member, .offset = offsetof(job_config, member), .type = FIELD_U64, .most = UINT64_MAX \
    }
#define NAME(member, kind)                                                                                  \
    {                                                                                                       \
        .name = #member, .offset = offsetof(job_config, member), .type = FIELD_NAME, .names = &kind##_names \
    }
#define CODEC(member)                                                                \
    {                                                                                \
        .name = #member, .offset = offsetof(job_config, member), .type = FIELD_CODEC \
    }
#define REAL(member, from, is_from_open, to, is_to_open)                                          \
    {                                                                                             \
        .name = #member, .offset = offsetof(job_config, member), .type = FIELD_REAL, .low = from, \
        .high = to, .open_low = is_from_open, .open_high = is_to_open                             \
    }
#define NOT_NEGATIVE(member) REAL(member, 0, false, JOB_REAL_MAX, false)
#define POSITIVE(member)     REAL(member, 0, true, JOB_REAL_MAX, false)
#define FRACTION(member)     REAL(member, 0, false, 1, true)

/* All of job_config but `name` and `tensors`. */
static const field fields[] = {
    U32(servers, 1, JOB_SERVERS_MAX),
    U32(workers, 1, JOB_WORKERS_MAX),
    U32(evaluators, 0, JOB_WORKERS_MAX),
    NAME(mode, consistency_mode),
    U32(staleness, 0, JOB_STALENESS_MAX),
    U32(backup_workers, 0, JOB_WORKERS_MAX - 1),
    NAME(guard, guard_policy),
    NAME(on_worker_loss, loss_policy),
    U32(grace_ms, 1, UINT32_MAX),
    U64(seed),
    U32(slice_bytes, JOB_SLICE_BYTES_MIN, JOB_SLICE_BYTES_MAX),
    CODEC(push_codec),
    CODEC(pull_codec),
    REAL(topk_fraction, 0, true, CODEC_TOPK_FRACTION_MAX, false),
    NAME(optimizer.kind, optimizer_kind),
    FRACTION(optimizer.momentum),
    FRACTION(optimizer.beta1),
    FRACTION(optimizer.beta2),
    FRACTION(optimizer.decay),
    REAL(optimizer.epsilon, 1 / JOB_REAL_MAX, false, JOB_REAL_MAX, false),
    NOT_NEGATIVE(optimizer.initial_accumulator),
    NOT_NEGATIVE(optimizer.l1),
    NOT_NEGATIVE(optimizer.l2),
    REAL(optimizer.learning_rate_power, -JOB_REAL_MAX, false, 0, false),
    NOT_NEGATIVE(optimizer.weight_decay),
    NOT_NEGATIVE(optimizer.clip_value),
    NOT_NEGATIVE(optimizer.clip_norm),
    NAME(schedule.kind, schedule_kind),
    POSITIVE(schedule.learning_rate),
    U64(schedule.warmup_steps),
    U64(schedule.decay_steps),
    REAL(schedule.decay_rate, 0, true, 1, false),
    NOT_NEGATIVE(schedule.end_rate),
    POSITIVE(schedule.power),
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

static uint64_t read_integer(const field *f, const job_config *job)
{
    const char *at = (const char *)job + f->offset;
    uint64_t wide;
    uint32_t narrow;
    if (f->type == FIELD_U64) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

static double read_real(const field *f, const job_config *job)
{
    double value;
    memcpy(&value, (const char *)job + f->offset, sizeof value);
    return value;
}

/* The shortest of the usual notations that reads back as the same number. */
static void print_real(double value, char *text, size_t room)
{
    snprintf(text, room, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, room, "%.17g", value);
}

static void print_value(const field *f, const job_config *job, char *text, size_t room)
{
    if (f->type == FIELD_REAL)
        print_real(read_real(f, job), text, room);
    else if (f->type == FIELD_NAME)
        snprintf(text, room, "%s", name_list_name(f->names, (uint32_t)read_integer(f, job)));
    else if (f->type == FIELD_CODEC)
        snprintf(text, room, "%s", codec_kind_name((codec_kind)read_integer(f, job)));
    else
        snprintf(text, room, "%" PRIu64, read_integer(f, job));
}

static ps_status check_real(const field *f, double value, ps_error *error)
{
    /* Written so that NaN fails it. */
    if ((f->open_low ? value > f->low : value >= f->low) &&
        (f->open_high ? value < f->high : value <= f->high))
        return PS_OK;
    return ps_fail(error, PS_ECONFIG, "%s is %.15g, which must be in %c%g, %g%c", f->name, value,
                   f->open_low ? '(' : '[', f->low, f->high, f->open_high ? ')' : ']');
}

static ps_status check_field(const field *f, const job_config *job, ps_error *error)
{
    if (f->type == FIELD_REAL)
        return check_real(f, read_real(f, job), error);
    uint64_t value = read_integer(f, job);
    if (f->type == FIELD_NAME) {
        if (value < f->names->count)
            return PS_OK;
        char known[256];
        name_list_join(f->names, known, sizeof known);
        return ps_fail(error, PS_ECONFIG, "%s is the unknown %s %" PRIu64 ": choose one of %s", f->name,
                       f->names->noun, value, known);
    }
    if (f->type == FIELD_CODEC) {
        if (codec_is_known((codec_kind)value))
            return PS_OK;
        return ps_fail(error, PS_ECONFIG, "%s is %" PRIu64 ", which is no codec", f->name, value);
    }
    if (value >= f->least && value <= f->most)
        return PS_OK;
    return ps_fail(error, PS_ECONFIG, "%s is %" PRIu64 ", which must be in [%" PRIu64 ", %" PRIu64 "]",
                   f->name, value, f->least, f->most);
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Strict, because the name becomes part of paths and addresses. */
static ps_status check_job_name(const char *name, ps_error *error)
{
    size_t length = strnlen(name, JOB_NAME_MAX + 1);
    if (length == 0 || length > JOB_NAME_MAX)
        return ps_fail(error, PS_ECONFIG, "name '%.*s' has %s: it takes 1 to %d", JOB_NAME_MAX, name,
                       length ? "too many characters" : "no characters", JOB_NAME_MAX);
    for (size_t i = 0; i < length; i++)
        if (!is_alphanumeric(name[i]) && name[i] != '_' && (i == 0 || (name[i] != '.' && name[i] != '-')))
            return ps_fail(error, PS_ECONFIG,
                           "name '%s' has '%c' at character %zu: use letters, digits, '_' and, but at the "
                           "start, '.' and '-'",
                           name, name[i], i + 1);
    return PS_OK;
}

/* What one field demands of another. */
static ps_status check_relations(const job_config *job, ps_error *error)
{
    if (job->backup_workers >= job->workers)
        return ps_fail(error, PS_ECONFIG, "backup_workers is %u, which must be less than the %u workers",
                       job->backup_workers, job->workers);
    if (job->backup_workers > 0 && job->on_worker_loss == LOSS_SHRINK)
        return ps_fail(error, PS_ECONFIG,
                       "backup_workers is %u, which must be 0 where on_worker_loss is %s: choose one of them",
                       job->backup_workers, loss_policy_name(LOSS_SHRINK));
    if (job->slice_bytes % sizeof(float) != 0)
        return ps_fail(error, PS_ECONFIG, "slice_bytes is %u, which must be a multiple of %zu",
                       job->slice_bytes, sizeof(float));
    if (!codec_suits_weights(job->pull_codec))
        return ps_fail(error, PS_ECONFIG,
                       "pull_codec is %s, which loses too much of the weights: choose fp32, bf16 or fp16",
                       codec_kind_name(job->pull_codec));
    if (job->schedule.kind != SCHEDULE_CONSTANT && job->schedule.decay_steps == 0)
        return ps_fail(error, PS_ECONFIG, "schedule.decay_steps is 0, which must be at least 1 for '%s'",
                       schedule_kind_name(job->schedule.kind));
    if (job->tensors.count == 0)
        return ps_fail(error, PS_ECONFIG, "the job has no tensors: declare the model before joining");
    return PS_OK;
}

void job_init(job_config *job)
{
    *job = (job_config){
        .name = "penstock",
        .servers = 1,
        .workers = 1,
        .mode = CONSISTENCY_SYNC,
        .guard = GUARD_SKIP,
        .on_worker_loss = LOSS_WAIT,
        .grace_ms = JOB_GRACE_MS_DEFAULT,
        .slice_bytes = JOB_SLICE_BYTES_DEFAULT,
        .push_codec = CODEC_FP32,
        .pull_codec = CODEC_FP32,
        .topk_fraction = JOB_TOPK_DEFAULT,
        .optimizer = {.kind = OPTIMIZER_SGD,
                      .momentum = 0.9,
                      .beta1 = 0.9,
                      .beta2 = 0.999,
                      .decay = 0.9,
                      .epsilon = 1e-8,
                      .initial_accumulator = 0.1,
                      .learning_rate_power = -0.5},
        .schedule = {.kind = SCHEDULE_CONSTANT, .learning_rate = 0.01, .decay_rate = 0.1, .power = 1},
    };
}

ps_status job_check(const job_config *job, ps_error *error)
{
    ps_status status = check_job_name(job->name, error);
    for (size_t i = 0; i < FIELD_COUNT && status == PS_OK; i++)
        status = check_field(&fields[i], job, error);
    return status == PS_OK ? check_relations(job, error) : status;
}

ps_status job_copy(const job_config *from, job_config *to)
{
    tensor_table tensors = {0};
    if (tensor_table_copy(&from->tensors, &tensors) != PS_OK) {
        job_init(to);
        return PS_ENOMEM;
    }
    *to = *from;
    to->tensors = tensors;
    return PS_OK;
}

static ps_status differ(ps_error *error, const char *what, const char *here, const char *in_job)
{
    return ps_fail(error, PS_EMISMATCH, "%s is %s here, but %s in the job", what, here, in_job);
}

static bool has_same_value(const field *f, const job_config *a, const job_config *b)
{
    /* Bits, so that -0 is not 0: what is compared here is also fingerprinted. */
    size_t bytes = f->type == FIELD_U64 || f->type == FIELD_REAL ? sizeof(uint64_t) : sizeof(uint32_t);
    return memcmp((const char *)a + f->offset, (const char *)b + f->offset, bytes) == 0;
}

static void print_shape(const tensor *t, char *text, size_t room)
{
    size_t used = 0;
    for (uint32_t d = 0; d < t->rank && used < room; d++)
        used += (size_t)snprintf(text + used, room - used, "%s%" PRIu64, d ? ", " : "[", t->shape[d]);
    if (used < room)
        snprintf(text + used, room - used, "]");
}

static void print_initializer(const initializer *init, char *text, size_t room)
{
    char a[32], b[32];
    print_real(init->a, a, sizeof a);
    print_real(init->b, b, sizeof b);
    snprintf(text, room, "%s(%s, %s)", initializer_kind_name(init->kind), a, b);
}

static bool has_same_initializer(const initializer *a, const initializer *b)
{
    return a->kind == b->kind && memcmp(&a->a, &b->a, sizeof a->a) == 0 &&
           memcmp(&a->b, &b->b, sizeof a->b) == 0;
}

static ps_status tensor_difference(const tensor *a, const tensor *b, uint32_t position, ps_error *error)
{
    char what[TENSOR_NAME_MAX + 32], here[200], in_job[200];
    if (strcmp(a->name, b->name) != 0) {
        snprintf(what, sizeof what, "the name of tensor %u", position);
        return differ(error, what, b->name, a->name);
    }
    if (a->rank != b->rank || memcmp(a->shape, b->shape, a->rank * sizeof a->shape[0]) != 0) {
        snprintf(what, sizeof what, "the shape of '%s'", a->name);
        print_shape(b, here, sizeof here);
        print_shape(a, in_job, sizeof in_job);
        return differ(error, what, here, in_job);
    }
    if (!has_same_initializer(&a->init, &b->init)) {
        snprintf(what, sizeof what, "the initializer of '%s'", a->name);
        print_initializer(&b->init, here, sizeof here);
        print_initializer(&a->init, in_job, sizeof in_job);
        return differ(error, what, here, in_job);
    }
    if (a->push_codec != b->push_codec) {
        snprintf(what, sizeof what, "the push codec of '%s'", a->name);
        return differ(error, what, codec_kind_name(b->push_codec), codec_kind_name(a->push_codec));
    }
    return PS_OK;
}

ps_status job_difference(const job_config *a, const job_config *b, ps_error *error)
{
    char here[64], in_job[64];
    if (strcmp(a->name, b->name) != 0)
        return differ(error, "name", b->name, a->name);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (has_same_value(&fields[i], a, b))
            continue;
        print_value(&fields[i], b, here, sizeof here);
        print_value(&fields[i], a, in_job, sizeof in_job);
        return differ(error, fields[i].name, here, in_job);
    }
    if (a->tensors.count != b->tensors.count) {
        snprintf(here, sizeof here, "%u", b->tensors.count);
        snprintf(in_job, sizeof in_job, "%u", a->tensors.count);
        return differ(error, "the number of tensors", here, in_job);
    }
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < a->tensors.count && status == PS_OK; i++)
        status = tensor_difference(&a->tensors.tensors[i], &b->tensors.tensors[i], i, error);
    return status;
}

size_t job_describe(const job_config *job, char *text, size_t bytes)
{
    char value[64];
    size_t used = 0;
    int length = snprintf(text, bytes, "name %s\n", job->name);
    for (size_t i = 0; i < FIELD_COUNT && (size_t)length < bytes - used; i++) {
        used += (size_t)length;
        print_value(&fields[i], job, value, sizeof value);
        length = snprintf(text + used, bytes - used, "%s %s\n", fields[i].name, value);
    }
    if ((size_t)length < bytes - used)
        used += (size_t)length;
    text[used] = '\0';
    return used;
}

codec_config job_push_codec(const job_config *job, uint32_t t)
{
    codec_kind own = job->tensors.tensors[t].push_codec;
    return (codec_config){.kind = own == CODEC_DEFAULT ? job->push_codec : own,
                          .topk_fraction = job->topk_fraction};
}

codec_config job_pull_codec(const job_config *job, bool final)
{
    return (codec_config){.kind = final ? CODEC_FP32 : job->pull_codec};
}

void job_fini(job_config *job)
{
    tensor_table_fini(&job->tensors);
}
