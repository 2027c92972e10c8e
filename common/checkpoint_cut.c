/* checkpoint_cut.c - see checkpoint_cut.h. */
#include "common/checkpoint_cut.h"

#include <stdlib.h>
#include <string.h>

#include "common/checksum.h"
#include "common/file.h"

/* ---- one shard of a cut ---- */

void shard_file_close(shard_file *s)
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
    ps_status status =
        checkpoint_shard_path(folder, step, server, servers, CHECKPOINT_RECORD_SUFFIX, path, error);
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

ps_status shard_file_open(const char *folder, uint64_t step, uint32_t server, uint32_t servers, shard_file *s,
                          ps_error *error)
{
    char path[PATH_BYTES];
    memset(s, 0, sizeof *s);
    ps_status status = read_record(folder, step, server, servers, &s->manifest, error);
    if (status == PS_OK)
        status = checkpoint_shard_path(folder, step, server, servers, CHECKPOINT_DATA_SUFFIX, path, error);
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
        shard_file_close(s);
    return status;
}

ps_status shard_file_check(shard_file *s, uint32_t index, ps_error *error)
{
    const manifest *m = &s->manifest;
    const safetensors_entry *e = &s->file.entries[index];
    ps_error cause;
    if (s->checked[index])
        return PS_OK;
    ps_status status = safetensors_fetch(e, &cause);
    if (status != PS_OK)
        return ps_fail(error, status,
                       "the checkpoint of step %llu, ps-%u-of-%u" CHECKPOINT_DATA_SUFFIX ": %s",
                       (unsigned long long)m->state.step, m->server, m->servers, cause.text);
    if (checksum(e->values, e->elements * sizeof(float)) != m->crc[index])
        return ps_fail(error, PS_EFORMAT,
                       "the checkpoint of step %llu, ps-%u-of-%u" CHECKPOINT_DATA_SUFFIX
                       ": %s is damaged: its checksum does "
                       "not fit",
                       (unsigned long long)m->state.step, m->server, m->servers, e->name);
    s->checked[index] = true;
    return PS_OK;
}

/* ---- whole cuts ---- */

void checkpoint_census_count(void *context, const char *path, const checkpoint_name *name)
{
    checkpoint_census *c = context;
    (void)path;
    if (!name->record || name->temporary)
        return;
    if (c->records[name->servers]++ == 0 || name->server < c->first[name->servers])
        c->first[name->servers] = (uint16_t)name->server;
}

uint32_t checkpoint_servers(const partition *p)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->servers; i++)
        count += partition_server_count(p, i) > 0;
    return count;
}

/* Judges the shards that are there of a cut by `servers` ps: their manifests, and whether the arrays are
 * there. The first manifest is left in `first`. */
static ps_status judge_cut(const char *folder, uint64_t step, uint32_t servers, const checkpoint_census *c,
                           manifest *first, ps_error *error)
{
    ps_status status = read_record(folder, step, c->first[servers], servers, first, error);
    if (status != PS_OK)
        return status;
    uint32_t expected = checkpoint_servers(&first->partition);
    if (c->records[servers] < expected)
        status = ps_fail(error, PS_ENOENT, "only %u of %u shards are there", c->records[servers], expected);
    for (uint32_t i = 0; i < servers && status == PS_OK; i++) {
        if (partition_server_count(&first->partition, i) == 0)
            continue;
        shard_file s;
        status = shard_file_open(folder, step, i, servers, &s, error);
        ps_error why = {PS_OK, ""};
        if (status == PS_OK && job_difference(&first->job, &s.manifest.job, &why) != PS_OK)
            status = ps_fail(error, PS_EFORMAT, "its shards are of different jobs: %s", why.text);
        shard_file_close(&s);
    }
    if (status != PS_OK)
        manifest_fini(first);
    return status;
}

ps_status checkpoint_find_whole(const char *folder, uint64_t step, uint32_t preferred, uint32_t *servers,
                                manifest *first, ps_error *error)
{
    checkpoint_census *c = calloc(1, sizeof *c);
    if (!c)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    ps_status status = checkpoint_visit_cut(folder, step, checkpoint_census_count, c, error);
    bool found = false, said = status != PS_OK, unread = false;
    for (uint32_t i = 0; !found && status != PS_ENOMEM && i <= JOB_SERVERS_MAX; i++) {
        uint32_t candidate = i == 0 ? preferred : i;
        if (candidate == 0 || c->records[candidate] == 0 || (i > 0 && i == preferred))
            continue;
        ps_error why;
        status = judge_cut(folder, step, candidate, c, first, &why);
        found = status == PS_OK;
        *servers = candidate;
        if (status == PS_ENOMEM || (!found && !said))
            ps_fail(error, status, "%s", why.text);
        said |= !found;
        unread |= status == PS_EIO;
    }
    free(c);
    if (found || status == PS_ENOMEM)
        return status;
    if (unread)
        return PS_EIO;
    return said ? PS_ENOENT : ps_fail(error, PS_ENOENT, "no manifest is there");
}
