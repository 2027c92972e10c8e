/* journal_replay.c - see journal_replay.h. */
#include "ps/journal_replay.h"

#include "common/file.h"
#include "common/headway.h"

static ps_status read_records(segment_reader *r, bool further, const char *path, journal_take *take,
                              void *context, ps_error *error)
{
    ps_error why = {PS_OK, ""};
    for (;;) {
        wire_message *message;
        bool carried;
        ps_status status = segment_read(r, &message, &carried, &why);
        if (status != PS_OK)
            return ps_fail(error, status, "%s: %s", path, why.text);
        if (!message)
            return PS_OK;
        if (!further || !carried)
            status = take(context, &message, carried, &why);
        wire_destroy(&message);
        headway_note();
        if (status != PS_OK)
            return ps_fail(error, status, "%s: record %llu: %s", path, (unsigned long long)r->sequence,
                           why.text);
    }
}

ps_status journal_replay_segment(const journal_folder *f, uint32_t index, bool further, journal_take *take,
                                 void *context, journal_end *end, ps_error *error)
{
    const journal_segment *s = &f->segments[index];
    const void *map = NULL;
    segment_reader r = {.at = sizeof(segment_head), .sequence = s->sequence, .last = index + 1 == f->count};
    ps_status status = journal_folder_path(f, s->number, end->path, error);
    if (status == PS_OK)
        status = file_map(end->path, &map, &r.count, error);
    if (status != PS_OK)
        return status;
    r.bytes = map;
    ps_error cause;
    status = file_fetch(map, r.count, &cause);
    if (status == PS_OK)
        status = read_records(&r, further, end->path, take, context, error);
    else
        ps_fail(error, status, "%s: %s", end->path, cause.text);
    file_unmap(map, r.count);
    end->sequence = r.sequence;
    end->good = r.at;
    end->behind = r.count - r.at;
    if (status == PS_OK && !r.last && s[1].sequence != r.sequence + 1)
        return ps_fail(error, PS_EFORMAT, "%s: the records from %llu to %llu are missing", end->path,
                       (unsigned long long)r.sequence + 1, (unsigned long long)s[1].sequence - 1);
    return status;
}
