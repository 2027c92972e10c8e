/* checkpoint.c - see checkpoint.h. */
#include "common/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checkpoint_cut.h"
#include "common/file.h"

void checkpoint_state_fini(checkpoint_state *state)
{
    free(state->clocks);
    members_fini(&state->members);
    memset(state, 0, sizeof *state);
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
            m->data_bytes += e->elements * sizeof(float);
        }
    }
    ps_status status = safetensors_write_summed(path, entries, arrays, NULL, 0, m->crc, error);
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
        status = checkpoint_cut_path(folder, state->step, cut, error);
    if (status == PS_OK)
        status = checkpoint_shard_path(folder, state->step, server, job->servers, CHECKPOINT_DATA_SUFFIX,
                                       data, error);
    if (status == PS_OK)
        status = checkpoint_shard_path(folder, state->step, server, job->servers, CHECKPOINT_RECORD_SUFFIX,
                                       record, error);
    if (status == PS_OK)
        status = file_make_folder(cut, error);
    if (status == PS_OK)
        status = write_arrays(data, p, server, slots, slices, &m, error);
    if (status == PS_OK)
        status = write_record(record, &m, error);
    free(m.crc);
    return status;
}

/* ---- which training ---- */

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

ps_status checkpoint_newest(const char *folder, const job_config *job, uint64_t below, uint64_t *step,
                            checkpoint_passed *passed, ps_error *error)
{
    uint64_t *steps;
    uint32_t count;
    ps_error why = {PS_OK, ""};
    *step = 0;
    ps_status status = checkpoint_list_steps(folder, &steps, &count, error);
    for (uint32_t i = 0; i < count && status == PS_OK && *step == 0; i++) {
        if (steps[i] >= below)
            continue;
        uint32_t servers;
        manifest first;
        status = checkpoint_find_whole(folder, steps[i], job->servers, &servers, &first, &why);
        if (status == PS_OK) {
            status = check_same_training(folder, &first.job, job, error);
            *step = steps[i];
            manifest_fini(&first);
        } else if (status == PS_EIO) { /* it may be whole for all that */
            status = PS_OK;
            *step = steps[i];
        } else if (status == PS_ENOENT) {
            status = PS_OK;
            if (passed)
                passed(steps[i], why.text);
        } else {
            ps_fail(error, status, "%s", why.text);
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
    ps_status status = shard_file_open(r->folder, r->step, server, r->first.servers, *found, error);
    if (status == PS_OK && (*found)->manifest.slots != r->slots) {
        status =
            ps_fail(error, PS_EFORMAT, "the checkpoint of step %llu has %u optimizer slots; %u are needed",
                    (unsigned long long)r->step, (*found)->manifest.slots, r->slots);
        shard_file_close(*found);
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
        status = shard_file_check(s, index, error);
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

/* Of shards that are at different updates, as without synchrony they are, the lowest; and the newest list of
 * members. */
static ps_status merge_state(checkpoint_state *into, const checkpoint_state *s)
{
    ps_status status = PS_OK;
    into->updates = s->updates < into->updates ? s->updates : into->updates;
    into->examples = s->examples < into->examples ? s->examples : into->examples;
    into->final &= s->final;
    for (uint32_t w = 0; w < into->clock_count; w++)
        if (s->clocks[w].pushed < into->clocks[w].pushed)
            into->clocks[w] = s->clocks[w];
    if (s->members.version > into->members.version) {
        members_fini(&into->members);
        status = members_copy(&s->members, &into->members);
    }
    return status;
}

static ps_status take_state(reader *r, uint32_t server, uint32_t servers, checkpoint_state *state,
                            ps_error *error)
{
    shard_file *own = servers == r->first.servers ? &r->shards[server] : NULL;
    bool has_own = own && r->open[server];
    const checkpoint_state *from = has_own ? &own->manifest.state : &r->first.state;
    *state = *from;
    state->clocks = calloc(from->clock_count + 1, sizeof *state->clocks);
    ps_status status = members_copy(&from->members, &state->members);
    if (!state->clocks)
        status = PS_ENOMEM;
    else
        memcpy(state->clocks, from->clocks, from->clock_count * sizeof *state->clocks);
    for (uint32_t i = 0; !has_own && i < r->first.servers && status == PS_OK; i++)
        if (r->open[i])
            status = merge_state(state, &r->shards[i].manifest.state);
    if (status == PS_OK)
        return PS_OK;
    checkpoint_state_fini(state);
    return ps_fail(error, status, "out of memory for the clocks of a checkpoint");
}

ps_status checkpoint_load(const char *folder, uint64_t step, const job_config *job, const partition *p,
                          uint32_t server, uint32_t slots, const checkpoint_target *slices,
                          checkpoint_state *state, ps_error *error)
{
    reader r = {.folder = folder, .step = step, .slots = slots};
    uint32_t servers = 0;
    *state = (checkpoint_state){0};
    ps_status status = checkpoint_find_whole(folder, step, job->servers, &servers, &r.first, error);
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
            shard_file_close(&r.shards[i]);
    free(r.shards);
    free(r.open);
    manifest_fini(&r.first);
    return status;
}

/* ---- removing ---- */

/* May a cut go? Whole ones are counted from the newest on, and others above them; below a whole one, others
 * will not become whole any more. */
typedef struct {
    uint32_t keep;
    uint32_t whole, others; /* seen */
} judgement;

typedef enum { KEEP, REMOVE_OWN, REMOVE_ALL } fate;

static fate judge(judgement *j, uint32_t records, uint32_t expected)
{
    if (j->whole == j->keep)
        return REMOVE_ALL;
    if (records >= expected) {
        j->whole++;
        return KEEP;
    }
    return j->whole > 0 || ++j->others > j->keep ? REMOVE_OWN : KEEP;
}

typedef struct {
    uint32_t server, servers;
    fate fate;
} owner;

static void remove_file(void *context, const char *path, const checkpoint_name *name)
{
    const owner *o = context;
    bool own = name->servers == o->servers && name->server == o->server;
    bool of_no_one = name->servers != o->servers && o->server == 0;
    if (o->fate == KEEP ? own && name->temporary : own || (o->fate == REMOVE_ALL && of_no_one))
        unlink(path); /* what cannot be removed is tried again the next time */
}

static ps_status remove_from_cut(const char *folder, uint64_t step, owner *o, ps_error *error)
{
    char cut[PATH_BYTES];
    ps_status status = checkpoint_visit_cut(folder, step, remove_file, o, error);
    if (status == PS_OK && o->fate != KEEP && checkpoint_cut_path(folder, step, cut, error) == PS_OK)
        rmdir(cut); /* the last one out succeeds */
    return status;
}

ps_status checkpoint_prune(const char *folder, uint32_t keep, const partition *p, uint32_t server,
                           uint64_t newest, ps_error *error)
{
    uint64_t *steps;
    uint32_t count, expected = checkpoint_servers(p);
    owner self = {.server = server, .servers = p->servers};
    judgement j = {.keep = keep};
    checkpoint_census *c = calloc(1, sizeof *c);
    if (!c)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    ps_status status = checkpoint_list_steps(folder, &steps, &count, error);
    for (uint32_t i = 0; i < count && status == PS_OK; i++) {
        if (steps[i] > newest)
            continue;
        memset(c, 0, sizeof *c);
        status = checkpoint_visit_cut(folder, steps[i], checkpoint_census_count, c, error);
        if (status != PS_OK)
            break;
        self.fate = judge(&j, c->records[p->servers], expected);
        status = remove_from_cut(folder, steps[i], &self, error);
    }
    free(steps);
    free(c);
    return status;
}

/* ---- for people ---- */

typedef struct {
    uint32_t removed;
    ps_error failure; /* the first */
} removal;

static void remove_any(void *context, const char *path, const checkpoint_name *name)
{
    removal *r = context;
    (void)name;
    if (unlink(path) == 0)
        r->removed++;
    else if (r->failure.status == PS_OK)
        ps_fail(&r->failure, PS_EIO, "cannot remove %s: %s", path, strerror(errno));
}

ps_status checkpoint_remove(const char *folder, uint64_t step, ps_error *error)
{
    removal r = {.failure = {PS_OK, ""}};
    char cut[PATH_BYTES];
    ps_status status = checkpoint_cut_path(folder, step, cut, error);
    if (status == PS_OK)
        status = checkpoint_visit_cut(folder, step, remove_any, &r, error);
    if (status == PS_OK && r.failure.status != PS_OK)
        status = ps_fail(error, r.failure.status, "%s", r.failure.text);
    bool gone = status == PS_OK && rmdir(cut) == 0; /* it stays if there is something else in it */
    if (status == PS_OK && r.removed == 0 && !gone)
        status = ps_fail(error, PS_ENOENT, "there is no checkpoint of step %llu in %s",
                         (unsigned long long)step, folder);
    return status;
}

static ps_status verify_cut(const char *folder, uint64_t step, const manifest *first, ps_error *error)
{
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < first->servers && status == PS_OK; i++) {
        if (partition_server_count(&first->partition, i) == 0)
            continue;
        shard_file s;
        status = shard_file_open(folder, step, i, first->servers, &s, error);
        for (uint32_t k = 0; status == PS_OK && k < s.manifest.crc_count; k++)
            status = shard_file_check(&s, k, error);
        shard_file_close(&s);
    }
    return status;
}

typedef struct {
    uint32_t servers, shards; /* of the most frequent number of ps */
    checkpoint_census c;
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
    ps_status status = checkpoint_visit_cut(folder, step, checkpoint_census_count, &found->c, error);
    most_frequent(found);
    *cut = (checkpoint_cut){.step = step, .servers = found->servers, .shards = found->shards};
    free(found);
    if (status != PS_OK)
        return status;
    manifest first;
    ps_error why = {PS_OK, ""};
    uint32_t servers = 0;
    status = checkpoint_find_whole(folder, step, cut->servers, &servers, &first, &why);
    if (status == PS_OK) {
        cut->servers = servers;
        cut->shards = checkpoint_servers(&first.partition);
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
    ps_status status = checkpoint_list_steps(folder, &steps, &found, error);
    for (uint32_t i = 0; i < found && i < max && status == PS_OK; i++) {
        status = describe_cut(folder, steps[i], verify, &cuts[i], error);
        *count += status == PS_OK;
    }
    free(steps);
    return status;
}
