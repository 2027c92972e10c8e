/* checkpoint_own.c - a shard's own part of a cut, whether or not the others' are there; see checkpoint.h. */
#include <stdlib.h>
#include <string.h>

#include "common/checkpoint.h"
#include "common/checkpoint_cut.h"
#include "common/file.h"

static ps_status copy_arrays(shard_file *s, const checkpoint_target *slices, ps_error *error)
{
    const manifest *m = &s->manifest;
    for (uint32_t i = 0; i < m->crc_count; i++) {
        const safetensors_entry *e = &s->file.entries[i];
        ps_status status = shard_file_check(s, i, error);
        if (status != PS_OK)
            return status;
        memcpy(slices[i / (1 + m->slots)].arrays[i % (1 + m->slots)], e->values, e->elements * sizeof(float));
    }
    return PS_OK;
}

ps_status checkpoint_load_own(const char *folder, uint64_t step, const job_config *job, uint32_t server,
                              uint32_t slots, const checkpoint_target *slices, checkpoint_state *state,
                              ps_error *error)
{
    shard_file s;
    *state = (checkpoint_state){0};
    ps_status status = shard_file_open(folder, step, server, job->servers, &s, error);
    if (status != PS_OK)
        return status;
    if (job_difference(job, &s.manifest.job, error) != PS_OK)
        status = PS_ENOENT; /* written before the job was changed */
    if (status == PS_OK && s.manifest.slots != slots)
        status =
            ps_fail(error, PS_EFORMAT, "the checkpoint of step %llu has %u optimizer slots; %u are needed",
                    (unsigned long long)step, s.manifest.slots, slots);
    if (status == PS_OK)
        status = copy_arrays(&s, slices, error);
    if (status == PS_OK) {
        *state = s.manifest.state;
        s.manifest.state = (checkpoint_state){0}; /* its clocks are the caller's now */
    }
    shard_file_close(&s);
    return status;
}

/* Without its manifest it is not in the cut. */
ps_status checkpoint_remove_own(const char *folder, uint64_t step, uint32_t server, uint32_t servers,
                                ps_error *error)
{
    char record[PATH_BYTES];
    ps_status status =
        checkpoint_shard_path(folder, step, server, servers, CHECKPOINT_RECORD_SUFFIX, record, error);
    if (status == PS_OK)
        status = file_remove(record, error);
    return status == PS_ENOENT ? file_sync_folder(folder, error) : status;
}

ps_status checkpoint_remove_own_beyond(const char *folder, uint64_t step, uint32_t server, uint32_t servers,
                                       ps_error *error)
{
    uint64_t *steps;
    uint32_t count;
    ps_status status = checkpoint_list_steps(folder, &steps, &count, error);
    if (status != PS_OK)
        return status;
    for (uint32_t i = 0; i < count && steps[i] > step && status == PS_OK; i++)
        status = checkpoint_remove_own(folder, steps[i], server, servers, error);
    free(steps);
    return status;
}
