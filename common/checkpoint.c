/* checkpoint.c - see checkpoint.h. */
#include "common/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checkpoint_manifest.h"
#include "common/checksum.h"
#include "common/file.h"
#include "common/safetensors.h"

#define STEP_PREFIX   "step-"
#define DATA_SUFFIX   ".safetensors"
#define RECORD_SUFFIX ".json"
enum { STEP_DIGITS = 12, PATH_BYTES = 4096, NAME_BYTES = 64 };

void checkpoint_state_fini(checkpoint_state *state)
{
    free(state->clocks);
    memset(state, 0, sizeof *state);
}

/* ---- names ---- */

static ps_status fail_errno(ps_error *error, const char *what, const char *path)
{
    return ps_fail(error, PS_EIO, "cannot %s %s: %s", what, path, strerror(errno));
}

static ps_status make_path(char path[PATH_BYTES], ps_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static ps_status make_path(char path[PATH_BYTES], ps_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(path, PATH_BYTES, format, arguments);
    va_end(arguments);
    return length < PATH_BYTES ? PS_OK : ps_fail(error, PS_EIO, "the path %.64s... is too long", path);
}

static ps_status cut_path(const char *folder, uint64_t step, char path[PATH_BYTES], ps_error *error)
{
    return make_path(path, error, "%s/" STEP_PREFIX "%0*" PRIu64, folder, STEP_DIGITS, step);
}

static ps_status shard_path(const char *folder, uint64_t step, uint32_t server, uint32_t servers,
                            const char *suffix, char path[PATH_BYTES], ps_error *error)
{
    return make_path(path, error, "%s/" STEP_PREFIX "%0*" PRIu64 "/ps-%u-of-%u%s", folder, STEP_DIGITS, step,
                     server, servers, suffix);
}

/* 0: the name is of no cut. */
static uint64_t step_of_name(const char *name)
{
    uint64_t step = 0;
    char again[NAME_BYTES];
    if (sscanf(name, STEP_PREFIX "%20" SCNu64, &step) != 1)
        return 0;
    snprintf(again, sizeof again, STEP_PREFIX "%0*" PRIu64, STEP_DIGITS, step);
    return strcmp(name, again) == 0 ? step : 0;
}

typedef struct {
    uint32_t server, servers;
    bool record;    /* the manifest; else the arrays */
    bool temporary; /* left behind by a crash, or being written */
} shard_name;

static bool parse_shard_name(const char *name, shard_name *parsed)
{
    int end = 0;
    if (sscanf(name, "ps-%4" SCNu32 "-of-%4" SCNu32 "%n", &parsed->server, &parsed->servers, &end) != 2)
        return false;
    const char *suffix = name + end;
    parsed->record = strncmp(suffix, RECORD_SUFFIX, strlen(RECORD_SUFFIX)) == 0;
    if (!parsed->record && strncmp(suffix, DATA_SUFFIX, strlen(DATA_SUFFIX)) != 0)
        return false;
    const char *rest = suffix + strlen(parsed->record ? RECORD_SUFFIX : DATA_SUFFIX);
    parsed->temporary = strncmp(rest, FILE_TEMPORARY_MARK, strlen(FILE_TEMPORARY_MARK)) == 0;
    return (*rest == '\0' || parsed->temporary) && parsed->server < parsed->servers &&
           parsed->servers <= JOB_SERVERS_MAX;
}

/* ---- folders ---- */

static int newest_first(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? 1 : left > right ? -1 : 0;
}

/* The steps of all cuts, whole or not, newest first; free them. A folder that is not there has none. */
static ps_status list_steps(const char *folder, uint64_t **steps, uint32_t *count, ps_error *error)
{
    *count = 0;
    *steps = calloc(CHECKPOINT_CUTS_MAX, sizeof **steps);
    if (!*steps)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    DIR *dir = opendir(folder);
    if (!dir && errno == ENOENT)
        return PS_OK;
    if (!dir) {
        free(*steps);
        *steps = NULL;
        return fail_errno(error, "read", folder);
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
        uint64_t step = step_of_name(entry->d_name);
        if (step == 0)
            continue;
        if (*count == CHECKPOINT_CUTS_MAX) { /* the oldest makes room */
            qsort(*steps, *count, sizeof **steps, newest_first);
            --*count;
            if (step < (*steps)[*count])
                step = (*steps)[*count];
        }
        (*steps)[(*count)++] = step;
    }
    closedir(dir);
    qsort(*steps, *count, sizeof **steps, newest_first);
    return PS_OK;
}

/* Calls `visit` for every file of a shard in a cut. A folder that is gone has none. */
typedef void visit_shard(void *context, const char *path, const shard_name *name);

static ps_status visit_cut(const char *folder, uint64_t step, visit_shard *visit, void *context,
                           ps_error *error)
{
    char cut[PATH_BYTES], path[PATH_BYTES];
    ps_status status = cut_path(folder, step, cut, error);
    if (status != PS_OK)
        return status;
    DIR *dir = opendir(cut);
    if (!dir)
        return errno == ENOENT ? PS_OK : fail_errno(error, "read", cut);
    for (const struct dirent *entry; status == PS_OK && (entry = readdir(dir));) {
        shard_name name;
        if (!parse_shard_name(entry->d_name, &name))
            continue;
        status = make_path(path, error, "%s/%s", cut, entry->d_name);
        if (status == PS_OK)
            visit(context, path, &name);
    }
    closedir(dir);
    return status;
}

/* ---- writing ---- */

static ps_status write_arrays(const char *path, const partition *p, uint32_t server, uint32_t slots,
                              const checkpoint_source *slices, manifest *m, ps_error *error)
{
    uint32_t count = partition_server_count(p, server), arrays = count * (1 + slots), next = 0;
    safetensors_entry *entries = calloc(arrays + 1, sizeof *entries);
    if (!entries)
        return ps_fail(error, PS_ENOMEM, "out of memory for a checkpoint");
    for (uint32_t ordinal = 0; ordinal < count; ordinal++) {
        uint32_t number = p->server_slices[p->server_first[server] + ordinal];
        for (uint32_t k = 0; k <= slots; k++, next++) {
            safetensors_entry *e = &entries[next];
            snprintf(e->name, sizeof e->name, k == 0 ? "slice-%u" : "slice-%u.slot-%u", number, k - 1);
            e->rank = 1;
            e->shape[0] = e->elements = p->slices[number].count;
            e->values = slices[ordinal].arrays[k];
            m->crc[next] = checksum(e->values, e->elements * sizeof(float));
            m->data_bytes += e->elements * sizeof(float);
        }
    }
    ps_status status = safetensors_write(path, entries, arrays, NULL, 0, error);
    free(entries);
    return status;
}

static ps_status write_record(const char *path, const manifest *m, ps_error *error)
{
    char *text;
    size_t bytes;
    ps_status status = manifest_print(m, &text, &bytes, error);
    if (status != PS_OK)
        return status;
    status = file_write_atomic(path, &(struct iovec){text, bytes}, 1, error);
    free(text);
    return status;
}

ps_status checkpoint_write(const char *folder, const job_config *job, const partition *p, uint32_t server,
                           const checkpoint_state *state, uint32_t slots, const checkpoint_source *slices,
                           ps_error *error)
{
    uint64_t arrays = (uint64_t)partition_server_count(p, server) * (1 + slots);
    if (arrays > TENSOR_TABLE_MAX)
        return ps_fail(error, PS_EINVAL,
                       "a shard of %llu arrays does not go into one file; use larger slices or more ps",
                       (unsigned long long)arrays);
    manifest m = {
        .server = server,
        .servers = job->servers,
        .slots = slots,
        .state = *state,
        .crc_count = (uint32_t)arrays,
        .crc = calloc(arrays + 1, sizeof *m.crc),
        .job = *job,
    };
    char cut[PATH_BYTES], data[PATH_BYTES], record[PATH_BYTES];
    ps_status status = m.crc ? PS_OK : ps_fail(error, PS_ENOMEM, "out of memory for a checkpoint");
    if (status == PS_OK)
        status = cut_path(folder, state->step, cut, error);
    if (status == PS_OK)
        status = shard_path(folder, state->step, server, job->servers, DATA_SUFFIX, data, error);
    if (status == PS_OK)
        status = shard_path(folder, state->step, server, job->servers, RECORD_SUFFIX, record, error);
    if (status == PS_OK)
        status = file_make_folder(cut, error);
    /* A manifest of before would vouch for arrays that it has never seen. */
    if (status == PS_OK && unlink(record) != 0 && errno != ENOENT)
        status = fail_errno(error, "replace", record);
    if (status == PS_OK)
        status = write_arrays(data, p, server, slots, slices, &m, error);
    if (status == PS_OK)
        status = write_record(record, &m, error);
    free(m.crc);
    return status;
}

/* ---- one shard of a cut ---- */

typedef struct {
    manifest manifest;
    safetensors_file file;
    bool *checked; /* (arrays) */
} shard_file;

static void close_shard(shard_file *s)
{
    safetensors_close(&s->file);
    manifest_fini(&s->manifest);
    free(s->checked);
    memset(s, 0, sizeof *s);
}

/* Reads and judges a manifest; what stands in it must be what its name says. */
static ps_status read_record(const char *folder, uint64_t step, uint32_t server, uint32_t servers,
                             manifest *m, ps_error *error)
{
    char path[PATH_BYTES], *text = NULL;
    size_t bytes;
    ps_error why = {PS_OK, ""};
    memset(m, 0, sizeof *m);
    ps_status status = shard_path(folder, step, server, servers, RECORD_SUFFIX, path, error);
    if (status == PS_OK)
        status = file_read(path, MANIFEST_BYTES_MAX, &text, &bytes, error);
    if (status != PS_OK)
        return status;
    status = manifest_parse(text, bytes, m, &why);
    free(text);
    if (status != PS_OK)
        return ps_fail(error, status, "%s: %s", path, why.text);
    if (m->state.step == step && m->server == server && m->servers == servers)
        return PS_OK;
    ps_fail(error, PS_EFORMAT, "%s: it is of step %llu and ps %u of %u", path,
            (unsigned long long)m->state.step, m->server, m->servers);
    manifest_fini(m);
    return PS_EFORMAT;
}

static bool array_fits(const shard_file *s, uint32_t index)
{
    const manifest *m = &s->manifest;
    const partition *p = &m->partition;
    uint32_t number = p->server_slices[p->server_first[m->server] + index / (1 + m->slots)];
    return s->file.entries[index].elements == p->slices[number].count;
}

static ps_status open_shard(const char *folder, uint64_t step, uint32_t server, uint32_t servers,
                            shard_file *s, ps_error *error)
{
    char path[PATH_BYTES];
    memset(s, 0, sizeof *s);
    ps_status status = read_record(folder, step, server, servers, &s->manifest, error);
    if (status == PS_OK)
        status = shard_path(folder, step, server, servers, DATA_SUFFIX, path, error);
    if (status == PS_OK)
        status = safetensors_open(path, &s->file, error);
    if (status == PS_OK) {
        s->checked = calloc(s->manifest.crc_count + 1, sizeof *s->checked);
        status = s->checked ? PS_OK : ps_fail(error, PS_ENOMEM, "out of memory for %s", path);
    }
    bool fits = status == PS_OK && s->file.count == s->manifest.crc_count;
    for (uint32_t i = 0; fits && i < s->file.count; i++)
        fits = array_fits(s, i);
    if (status == PS_OK && !fits)
        status = ps_fail(error, PS_EFORMAT, "%s: its arrays are not those of its manifest", path);
    if (status != PS_OK)
        close_shard(s);
    return status;
}

/* The values of an array, against its CRC the first time. */
static ps_status check_array(shard_file *s, uint32_t index, ps_error *error)
{
    const manifest *m = &s->manifest;
    const safetensors_entry *e = &s->file.entries[index];
    if (!s->checked[index] && checksum(e->values, e->elements * sizeof(float)) != m->crc[index])
        return ps_fail(error, PS_EFORMAT,
                       "the checkpoint of step %llu, ps-%u-of-%u" DATA_SUFFIX
                       ": %s is damaged: its checksum does "
                       "not fit",
                       (unsigned long long)m->state.step, m->server, m->servers, e->name);
    s->checked[index] = true;
    return PS_OK;
}

/* ---- whole cuts ---- */

/* The numbers of ps of which something is in a cut, and how much. */
typedef struct {
    uint16_t records[JOB_SERVERS_MAX + 1]; /* by number of ps */
    uint16_t first[JOB_SERVERS_MAX + 1];   /* the lowest index among them */
} census;

static void count_record(void *context, const char *path, const shard_name *name)
{
    census *c = context;
    (void)path;
    if (!name->record || name->temporary)
        return;
    if (c->records[name->servers]++ == 0 || name->server < c->first[name->servers])
        c->first[name->servers] = (uint16_t)name->server;
}

static uint32_t servers_with_slices(const partition *p)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->servers; i++)
        count += partition_server_count(p, i) > 0;
    return count;
}

/* Judges the shards that are there of a cut by `servers` ps: their manifests, and whether the arrays are
 * there. The first manifest is left in `first`. */
static ps_status judge_cut(const char *folder, uint64_t step, uint32_t servers, const census *c,
                           manifest *first, ps_error *error)
{
    ps_status status = read_record(folder, step, c->first[servers], servers, first, error);
    if (status != PS_OK)
        return status;
    uint32_t expected = servers_with_slices(&first->partition);
    if (c->records[servers] < expected)
        status = ps_fail(error, PS_ENOENT, "only %u of %u shards are there", c->records[servers], expected);
    for (uint32_t i = 0; i < servers && status == PS_OK; i++) {
        if (partition_server_count(&first->partition, i) == 0)
            continue;
        shard_file s;
        status = open_shard(folder, step, i, servers, &s, error);
        ps_error why = {PS_OK, ""};
        if (status == PS_OK && job_difference(&first->job, &s.manifest.job, &why) != PS_OK)
            status = ps_fail(error, PS_EFORMAT, "its shards are of different jobs: %s", why.text);
        if (status == PS_OK)
            close_shard(&s);
    }
    if (status != PS_OK)
        manifest_fini(first);
    return status;
}

/* What does not determine the weights is made equal. */
static ps_status copy_of_training(const job_config *job, job_config *to)
{
    ps_status status = job_copy(job, to);
    if (status != PS_OK)
        return status;
    to->servers = to->workers = 1;
    to->evaluators = to->staleness = to->backup_workers = 0;
    to->slice_bytes = JOB_SLICE_BYTES_DEFAULT;
    to->guard = GUARD_SKIP;
    to->on_worker_loss = LOSS_WAIT;
    to->grace_ms = JOB_GRACE_MS_DEFAULT;
    to->push_codec = to->pull_codec = CODEC_FP32;
    to->topk_fraction = JOB_TOPK_DEFAULT;
    for (uint32_t t = 0; t < to->tensors.count; t++)
        to->tensors.tensors[t].push_codec = CODEC_DEFAULT;
    return PS_OK;
}

static ps_status check_same_training(const char *folder, const job_config *kept, const job_config *job,
                                     ps_error *error)
{
    job_config a, b;
    job_init(&b);
    ps_error why = {PS_OK, ""};
    ps_status status = copy_of_training(kept, &a);
    if (status == PS_OK)
        status = copy_of_training(job, &b);
    if (status == PS_OK)
        status = job_difference(&a, &b, &why);
    job_fini(&a);
    job_fini(&b);
    if (status == PS_OK)
        return PS_OK;
    if (status != PS_EMISMATCH)
        return ps_fail(error, status, "out of memory for a job");
    return ps_fail(error, status, "the checkpoints in %s are of another training: %s; use another folder",
                   folder, why.text);
}

/* By which number of ps is the cut whole? The one asked for first, if there are several. PS_ENOENT: by none,
 * with what is wrong. */
static ps_status find_whole(const char *folder, uint64_t step, uint32_t preferred, uint32_t *servers,
                            manifest *first, ps_error *error)
{
    census *c = calloc(1, sizeof *c);
    if (!c)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    ps_status status = visit_cut(folder, step, count_record, c, error);
    bool found = false, usable = status == PS_OK;
    if (usable)
        ps_fail(error, PS_ENOENT, "no manifest is there");
    for (uint32_t i = 0; usable && !found && i <= JOB_SERVERS_MAX; i++) {
        uint32_t candidate = i == 0 ? preferred : i;
        if (candidate == 0 || c->records[candidate] == 0 || (i > 0 && i == preferred))
            continue;
        status = judge_cut(folder, step, candidate, c, first, error);
        found = status == PS_OK;
        *servers = candidate;
        usable = status != PS_ENOMEM && status != PS_EIO;
    }
    free(c);
    if (found || !usable)
        return status;
    return PS_ENOENT;
}

ps_status checkpoint_newest(const char *folder, const job_config *job, uint64_t below, uint64_t *step,
                            ps_error *error)
{
    uint64_t *steps;
    uint32_t count;
    *step = 0;
    ps_status status = list_steps(folder, &steps, &count, error);
    for (uint32_t i = 0; i < count && status == PS_OK && *step == 0; i++) {
        if (steps[i] >= below)
            continue;
        uint32_t servers;
        manifest first;
        status = find_whole(folder, steps[i], job->servers, &servers, &first, error);
        if (status == PS_OK) {
            status = check_same_training(folder, &first.job, job, error);
            *step = steps[i];
            manifest_fini(&first);
        } else if (status == PS_ENOENT) {
            status = PS_OK;
        }
    }
    free(steps);
    if (status != PS_OK)
        *step = 0;
    return status;
}

/* ---- reading ---- */

typedef struct {
    const char *folder;
    uint64_t step;
    manifest first;     /* of the cut, whoever wrote it */
    shard_file *shards; /* (servers) opened as they are needed */
    bool *open;         /* (servers) */
    uint32_t slots;
} reader;

static ps_status shard_of(reader *r, uint32_t server, shard_file **found, ps_error *error)
{
    *found = &r->shards[server];
    if (r->open[server])
        return PS_OK;
    ps_status status = open_shard(r->folder, r->step, server, r->first.servers, *found, error);
    if (status == PS_OK && (*found)->manifest.slots != r->slots) {
        status =
            ps_fail(error, PS_EFORMAT, "the checkpoint of step %llu has %u optimizer slots; %u are needed",
                    (unsigned long long)r->step, (*found)->manifest.slots, r->slots);
        close_shard(*found);
    }
    r->open[server] = status == PS_OK;
    return status;
}

/* Elements [from, end) of the tensor from one slice of then to one of now. */
static ps_status copy_part(reader *r, const slice *then, const slice *now, const checkpoint_target *target,
                           ps_error *error)
{
    uint64_t from = then->offset > now->offset ? then->offset : now->offset;
    uint64_t then_end = then->offset + then->count, now_end = now->offset + now->count;
    uint64_t end = then_end < now_end ? then_end : now_end;
    shard_file *s;
    ps_status status = shard_of(r, then->server, &s, error);
    for (uint32_t k = 0; k <= r->slots && status == PS_OK; k++) {
        uint32_t index = then->ordinal * (1 + r->slots) + k;
        status = check_array(s, index, error);
        if (status == PS_OK)
            memcpy(target->arrays[k] + (from - now->offset),
                   s->file.entries[index].values + (from - then->offset), (end - from) * sizeof(float));
    }
    return status;
}

static ps_status read_slice(reader *r, const slice *now, const checkpoint_target *target, ps_error *error)
{
    const partition *p = &r->first.partition;
    ps_status status = PS_OK;
    for (uint32_t i = p->tensor_first[now->tensor]; i < p->tensor_first[now->tensor + 1] && status == PS_OK;
         i++) {
        const slice *then = &p->slices[i];
        if (then->offset < now->offset + now->count && now->offset < then->offset + then->count)
            status = copy_part(r, then, now, target, error);
    }
    return status;
}

/* Of shards that are at different updates, as without synchrony they are, the lowest. */
static void merge_state(checkpoint_state *into, const checkpoint_state *s)
{
    into->updates = s->updates < into->updates ? s->updates : into->updates;
    into->examples = s->examples < into->examples ? s->examples : into->examples;
    into->final &= s->final;
    for (uint32_t w = 0; w < into->clock_count; w++)
        if (s->clocks[w].pushed < into->clocks[w].pushed)
            into->clocks[w] = s->clocks[w];
}

static ps_status take_state(reader *r, uint32_t server, uint32_t servers, checkpoint_state *state,
                            ps_error *error)
{
    shard_file *own = servers == r->first.servers ? &r->shards[server] : NULL;
    bool has_own = own && r->open[server];
    *state = has_own ? own->manifest.state : r->first.state;
    uint32_t clocks = state->clock_count;
    state->clocks = calloc(clocks + 1, sizeof *state->clocks);
    if (!state->clocks) {
        *state = (checkpoint_state){0};
        return ps_fail(error, PS_ENOMEM, "out of memory for clocks");
    }
    memcpy(state->clocks, has_own ? own->manifest.state.clocks : r->first.state.clocks,
           clocks * sizeof *state->clocks);
    for (uint32_t i = 0; !has_own && i < r->first.servers; i++)
        if (r->open[i])
            merge_state(state, &r->shards[i].manifest.state);
    return PS_OK;
}

ps_status checkpoint_load(const char *folder, uint64_t step, const job_config *job, const partition *p,
                          uint32_t server, uint32_t slots, const checkpoint_target *slices,
                          checkpoint_state *state, ps_error *error)
{
    reader r = {.folder = folder, .step = step, .slots = slots};
    uint32_t servers = 0;
    *state = (checkpoint_state){0};
    ps_status status = find_whole(folder, step, job->servers, &servers, &r.first, error);
    if (status != PS_OK)
        return status;
    status = check_same_training(folder, &r.first.job, job, error);
    if (status == PS_OK) {
        r.shards = calloc(servers, sizeof *r.shards);
        r.open = calloc(servers, sizeof *r.open);
        if (!r.shards || !r.open)
            status = ps_fail(error, PS_ENOMEM, "out of memory for a checkpoint");
    }
    for (uint32_t i = 0; i < partition_server_count(p, server) && status == PS_OK; i++)
        status = read_slice(&r, &p->slices[p->server_slices[p->server_first[server] + i]], &slices[i], error);
    if (status == PS_OK)
        status = take_state(&r, server, job->servers, state, error);
    for (uint32_t i = 0; r.open && i < servers; i++)
        if (r.open[i])
            close_shard(&r.shards[i]);
    free(r.shards);
    free(r.open);
    manifest_fini(&r.first);
    return status;
}

/* ---- removing ---- */

typedef struct {
    uint32_t server, servers;
} owner;

static void remove_own(void *context, const char *path, const shard_name *name)
{
    const owner *o = context;
    bool own = name->servers == o->servers && name->server == o->server;
    if (own || (name->servers != o->servers && o->server == 0))
        unlink(path); /* what cannot be removed is tried again the next time */
}

static void remove_own_temporary(void *context, const char *path, const shard_name *name)
{
    const owner *o = context;
    if (name->temporary && name->servers == o->servers && name->server == o->server)
        unlink(path);
}

ps_status checkpoint_prune(const char *folder, uint32_t keep, const partition *p, uint32_t server,
                           ps_error *error)
{
    uint64_t *steps;
    uint32_t count, whole = 0;
    owner self = {.server = server, .servers = p->servers};
    census *c = calloc(1, sizeof *c);
    if (!c)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    ps_status status = list_steps(folder, &steps, &count, error);
    for (uint32_t i = 0; i < count && status == PS_OK; i++) {
        if (whole < keep) {
            memset(c, 0, sizeof *c);
            status = visit_cut(folder, steps[i], count_record, c, error);
            whole += c->records[p->servers] >= servers_with_slices(p);
            if (status == PS_OK)
                status = visit_cut(folder, steps[i], remove_own_temporary, &self, error);
            continue;
        }
        char cut[PATH_BYTES];
        status = visit_cut(folder, steps[i], remove_own, &self, error);
        if (status == PS_OK && cut_path(folder, steps[i], cut, error) == PS_OK)
            rmdir(cut); /* the last one out succeeds */
    }
    free(steps);
    free(c);
    return status;
}

/* ---- for people ---- */

static ps_status verify_cut(const char *folder, uint64_t step, const manifest *first, ps_error *error)
{
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < first->servers && status == PS_OK; i++) {
        if (partition_server_count(&first->partition, i) == 0)
            continue;
        shard_file s;
        status = open_shard(folder, step, i, first->servers, &s, error);
        for (uint32_t k = 0; status == PS_OK && k < s.manifest.crc_count; k++)
            status = check_array(&s, k, error);
        close_shard(&s);
    }
    return status;
}

typedef struct {
    uint32_t servers, shards; /* of the most frequent number of ps */
    census c;
} contents;

static void most_frequent(contents *c)
{
    for (uint32_t n = 1; n <= JOB_SERVERS_MAX; n++) {
        if (c->c.records[n] <= c->shards)
            continue;
        c->servers = n;
        c->shards = c->c.records[n];
    }
}

static ps_status describe_cut(const char *folder, uint64_t step, bool verify, checkpoint_cut *cut,
                              ps_error *error)
{
    contents *found = calloc(1, sizeof *found);
    if (!found)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    ps_status status = visit_cut(folder, step, count_record, &found->c, error);
    most_frequent(found);
    *cut = (checkpoint_cut){.step = step, .servers = found->servers, .shards = found->shards};
    free(found);
    if (status != PS_OK)
        return status;
    manifest first;
    ps_error why = {PS_OK, ""};
    uint32_t servers = 0;
    status = find_whole(folder, step, cut->servers, &servers, &first, &why);
    if (status == PS_OK) {
        cut->servers = servers;
        cut->shards = servers_with_slices(&first.partition);
        cut->final = first.state.final;
        cut->bytes = tensor_table_elements(&first.job.tensors) * sizeof(float) * (1 + first.slots);
        if (verify)
            status = verify_cut(folder, step, &first, &why);
        manifest_fini(&first);
    }
    if (status == PS_ENOMEM)
        return ps_fail(error, status, "out of memory");
    cut->whole = status == PS_OK;
    if (!cut->whole)
        snprintf(cut->damage, sizeof cut->damage, "%s", why.text);
    return PS_OK;
}

ps_status checkpoint_list(const char *folder, bool verify, checkpoint_cut *cuts, uint32_t max,
                          uint32_t *count, ps_error *error)
{
    uint64_t *steps;
    uint32_t found;
    *count = 0;
    ps_status status = list_steps(folder, &steps, &found, error);
    for (uint32_t i = 0; i < found && i < max && status == PS_OK; i++) {
        status = describe_cut(folder, steps[i], verify, &cuts[i], error);
        *count += status == PS_OK;
    }
    free(steps);
    return status;
}
