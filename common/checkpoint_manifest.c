/* checkpoint_manifest.c - see checkpoint_manifest.h. */
#include "common/checkpoint_manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checksum.h"
#include "common/json.h"
#include "common/wire.h"

/* How every manifest ends: the checksum has this place. */
#define CHECKSUM_START ",\"checksum\":\""
#define CHECKSUM_END   "\"}\n"
enum {
    CHECKSUM_DIGITS = 8,
    TAIL_BYTES = sizeof CHECKSUM_START - 1 + CHECKSUM_DIGITS + sizeof CHECKSUM_END - 1,
};

void manifest_fini(manifest *m)
{
    checkpoint_state_fini(&m->state);
    free(m->crc);
    partition_fini(&m->partition);
    job_fini(&m->job);
    memset(m, 0, sizeof *m);
}

/* ---- writing ---- */

static void print_changes(FILE *out, const members_list *list)
{
    if (list->count == 0)
        return;
    fprintf(out, "\"members\":[\"%016" PRIx64 "\"", list->version);
    for (uint32_t i = 0; i < list->count; i++)
        fprintf(out, ",[%" PRIu64 ",%" PRIu32 ",%d]", list->changes[i].from, list->changes[i].worker,
                list->changes[i].enters);
    fputs("],", out);
}

static void print_members(FILE *out, const manifest *m, const uint8_t *job, size_t job_bytes)
{
    const checkpoint_state *s = &m->state;
    fprintf(out,
            "{\"penstock_checkpoint\":%d,\"step\":%" PRIu64
            ",\"server\":%u,\"servers\":%u,\"updates\":%" PRIu64 ",\"examples\":%" PRIu64
            ",\"epoch\":%" PRIu64 ",\"final\":%s,\"clocks\":[",
            MANIFEST_FORMAT, s->step, m->server, m->servers, s->updates, s->examples, s->epoch,
            s->final ? "true" : "false");
    for (uint32_t i = 0; i < s->clock_count; i++)
        fprintf(out, "%s[%" PRIu64 ",%d]", i ? "," : "", s->clocks[i].pushed, s->clocks[i].finished);
    fputs("],", out);
    print_changes(out, &s->members);
    fprintf(out, "\"slots\":%u,\"data_bytes\":%" PRIu64 ",\"crc\":[", m->slots, m->data_bytes);
    for (uint32_t i = 0; i < m->crc_count; i++)
        fprintf(out, "%s%" PRIu32, i ? "," : "", m->crc[i]);
    fputs("],\"job\":\"", out);
    for (size_t i = 0; i < job_bytes; i++)
        fprintf(out, "%02x", job[i]);
    fputc('"', out);
}

ps_status manifest_print(const manifest *m, char **text, size_t *bytes, ps_error *error)
{
    uint8_t *job = NULL;
    size_t job_bytes = 0;
    *text = NULL;
    ps_status status = wire_job_pack(&m->job, &job, &job_bytes);
    FILE *out = status == PS_OK ? open_memstream(text, bytes) : NULL;
    if (out) {
        print_members(out, m, job, job_bytes);
        if (fflush(out) == 0)
            fprintf(out, CHECKSUM_START "%08" PRIx32 CHECKSUM_END, checksum(*text, *bytes));
    }
    free(job);
    bool complete = out && !ferror(out);
    if (!out || fclose(out) != 0 || !complete)
        status = ps_fail(error, PS_ENOMEM, "out of memory for a manifest");
    else if (*bytes > MANIFEST_BYTES_MAX)
        status = ps_fail(error, PS_ELIMIT, "a manifest of %zu bytes; at most %d are allowed", *bytes,
                         MANIFEST_BYTES_MAX);
    if (status != PS_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}

/* ---- reading ---- */

static ps_status check_checksum(const char *text, size_t bytes, ps_error *error)
{
    char tail[TAIL_BYTES + 1];
    if (bytes <= TAIL_BYTES)
        return ps_fail(error, PS_EFORMAT, "it is cut off: it has %zu bytes", bytes);
    snprintf(tail, sizeof tail, CHECKSUM_START "%08" PRIx32 CHECKSUM_END, checksum(text, bytes - TAIL_BYTES));
    if (memcmp(text + bytes - TAIL_BYTES, tail, TAIL_BYTES) != 0)
        return ps_fail(error, PS_EFORMAT, "it is damaged: its checksum does not fit");
    return PS_OK;
}

static ps_status read_number(const json *object, const char *name, uint64_t most, uint64_t *number,
                             ps_error *error)
{
    int64_t value;
    int64_t bound = most > (uint64_t)JSON_INTEGER_MAX ? JSON_INTEGER_MAX : (int64_t)most;
    ps_status status = json_as_integer(json_find(object, name), name, 0, bound, &value, error);
    *number = status == PS_OK ? (uint64_t)value : 0;
    return status;
}

static ps_status read_number32(const json *object, const char *name, uint32_t most, uint32_t *number,
                               ps_error *error)
{
    uint64_t wide;
    ps_status status = read_number(object, name, most, &wide, error);
    *number = (uint32_t)wide;
    return status;
}

static ps_status read_clock(const json *pair, checkpoint_clock *clock, ps_error *error)
{
    int64_t pushed = 0, finished = 0;
    const json *first = json_first(pair);
    if (json_type_of(pair) != JSON_LIST || json_count(pair) != 2)
        return ps_fail(error, PS_EFORMAT, "each of clocks must be two numbers");
    ps_status status = json_as_integer(first, "clock", 0, JSON_INTEGER_MAX, &pushed, error);
    if (status == PS_OK)
        status = json_as_integer(json_next(first), "clock", 0, 1, &finished, error);
    *clock = (checkpoint_clock){.pushed = (uint64_t)pushed, .finished = finished != 0};
    return status;
}

static ps_status read_clocks(const json *root, manifest *m, ps_error *error)
{
    const json *list = json_find(root, "clocks");
    ps_status status = json_as_list(list, "clocks", error);
    if (status != PS_OK)
        return status;
    if (json_count(list) != m->job.workers)
        return ps_fail(error, PS_EFORMAT, "there are %zu clocks for %u workers", json_count(list),
                       m->job.workers);
    m->state.clocks = calloc(m->job.workers, sizeof *m->state.clocks);
    if (!m->state.clocks)
        return ps_fail(error, PS_ENOMEM, "out of memory for a manifest");
    for (const json *pair = json_first(list); pair && status == PS_OK; pair = json_next(pair))
        status = read_clock(pair, &m->state.clocks[m->state.clock_count++], error);
    return status;
}

static ps_status read_change(const json *entry, members_list *list, ps_error *error)
{
    int64_t from = 0, worker = 0, enters = 0;
    const json *first = json_first(entry);
    if (json_type_of(entry) != JSON_LIST || json_count(entry) != 3)
        return ps_fail(error, PS_EFORMAT, "each change of members must be three numbers");
    ps_status status = json_as_integer(first, "step of a change", 1, JSON_INTEGER_MAX, &from, error);
    if (status == PS_OK)
        status = json_as_integer(json_next(first), "worker of a change", 0, JOB_WORKERS_MAX, &worker, error);
    if (status == PS_OK)
        status = json_as_integer(json_next(json_next(first)), "kind of a change", 0, 1, &enters, error);
    const members_change change = {.from = (uint64_t)from, .worker = (uint32_t)worker, .enters = enters != 0};
    return status == PS_OK ? members_add(list, &change, error) : status;
}

static ps_status read_changes(const json *root, manifest *m, ps_error *error)
{
    const json *list = json_find(root, "members");
    members_list *read = &m->state.members;
    const char *version;
    if (!list)
        return PS_OK;
    ps_status status = json_as_list(list, "members", error);
    if (status == PS_OK)
        status = json_as_string(json_first(list), "members' version", &version, error);
    if (status != PS_OK)
        return status;
    if (strlen(version) != 16 || strspn(version, "0123456789abcdef") != 16)
        return ps_fail(error, PS_EFORMAT, "members' version must be 16 hexadecimal digits");
    read->version = strtoull(version, NULL, 16);
    for (const json *entry = json_next(json_first(list)); entry && status == PS_OK; entry = json_next(entry))
        status = read_change(entry, read, error);
    ps_error why;
    if (status == PS_OK && members_check(read, m->job.workers, &why) != PS_OK)
        status = ps_fail(error, PS_EFORMAT, "%s", why.text);
    return status;
}

static ps_status read_crc(const json *root, manifest *m, ps_error *error)
{
    const json *list = json_find(root, "crc");
    uint64_t expected = (uint64_t)partition_server_count(&m->partition, m->server) * (1 + m->slots);
    ps_status status = json_as_list(list, "crc", error);
    if (status != PS_OK)
        return status;
    if (json_count(list) != expected)
        return ps_fail(error, PS_EFORMAT, "there are %zu checksums for %llu arrays", json_count(list),
                       (unsigned long long)expected);
    m->crc = calloc(expected + 1, sizeof *m->crc);
    if (!m->crc)
        return ps_fail(error, PS_ENOMEM, "out of memory for a manifest");
    for (const json *value = json_first(list); value && status == PS_OK; value = json_next(value)) {
        int64_t crc = 0;
        status = json_as_integer(value, "each of crc", 0, UINT32_MAX, &crc, error);
        m->crc[m->crc_count++] = (uint32_t)crc;
    }
    return status;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static ps_status read_job(const json *root, job_config *job, ps_error *error)
{
    const char *text;
    ps_status status = json_as_string(json_find(root, "job"), "job", &text, error);
    if (status != PS_OK)
        return status;
    size_t count = strlen(text) / 2;
    uint8_t *bytes = malloc(count + 1);
    if (!bytes)
        return ps_fail(error, PS_ENOMEM, "out of memory for a manifest");
    bool good = strlen(text) % 2 == 0;
    for (size_t i = 0; i < count; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        good &= high >= 0 && low >= 0;
        bytes[i] = (uint8_t)((high & 15) << 4 | (low & 15));
    }
    ps_error why = {PS_OK, ""};
    if (!good)
        status = ps_fail(error, PS_EFORMAT, "job must be hexadecimal digits, two per byte");
    else if (wire_job_unpack(bytes, count, job, &why) != PS_OK)
        status = ps_fail(error, why.status == PS_ENOMEM ? PS_ENOMEM : PS_EFORMAT, "its job: %s", why.text);
    free(bytes);
    return status;
}

static ps_status read_state(const json *root, checkpoint_state *s, ps_error *error)
{
    ps_status status = read_number(root, "step", UINT64_MAX, &s->step, error);
    if (status == PS_OK)
        status = read_number(root, "updates", UINT64_MAX, &s->updates, error);
    if (status == PS_OK)
        status = read_number(root, "examples", UINT64_MAX, &s->examples, error);
    if (status == PS_OK)
        status = read_number(root, "epoch", UINT64_MAX, &s->epoch, error);
    if (status == PS_OK)
        status = json_as_bool(json_find(root, "final"), "final", &s->final, error);
    return status;
}

static ps_status read_members(const json *root, manifest *m, ps_error *error)
{
    uint64_t format;
    ps_status status = json_as_object(root, "the manifest", error);
    if (status == PS_OK)
        status = read_number(root, "penstock_checkpoint", UINT64_MAX, &format, error);
    if (status == PS_OK && format != MANIFEST_FORMAT)
        return ps_fail(error, PS_EFORMAT, "it is of format %llu; this program knows format %d",
                       (unsigned long long)format, MANIFEST_FORMAT);
    if (status == PS_OK)
        status = read_job(root, &m->job, error);
    if (status == PS_OK)
        status = read_number32(root, "servers", JOB_SERVERS_MAX, &m->servers, error);
    if (status == PS_OK)
        status = read_number32(root, "server", JOB_SERVERS_MAX, &m->server, error);
    if (status == PS_OK && (m->servers != m->job.servers || m->server >= m->servers))
        return ps_fail(error, PS_EFORMAT, "it is of ps %u of %u, but its job has %u", m->server, m->servers,
                       m->job.servers);
    if (status == PS_OK)
        status = read_number32(root, "slots", CHECKPOINT_SLOTS_MAX, &m->slots, error);
    if (status == PS_OK)
        status = read_number(root, "data_bytes", UINT64_MAX, &m->data_bytes, error);
    if (status == PS_OK)
        status = read_state(root, &m->state, error);
    if (status == PS_OK)
        status = partition_init(&m->partition, &m->job, error);
    if (status == PS_OK)
        status = read_clocks(root, m, error);
    if (status == PS_OK)
        status = read_changes(root, m, error);
    if (status == PS_OK)
        status = read_crc(root, m, error);
    return status;
}

ps_status manifest_parse(const char *text, size_t bytes, manifest *m, ps_error *error)
{
    memset(m, 0, sizeof *m);
    ps_status status = check_checksum(text, bytes, error);
    if (status != PS_OK)
        return status;
    json *root = NULL;
    const json_options options = {.source = "the manifest", .max_bytes = MANIFEST_BYTES_MAX};
    status = json_parse(text, bytes, &options, &root, NULL, error);
    if (status == PS_OK)
        status = read_members(root, m, error);
    json_free(&root);
    if (status == PS_OK)
        return PS_OK;
    manifest_fini(m);
    return status == PS_ENOMEM ? PS_ENOMEM : error ? (error->status = PS_EFORMAT) : PS_EFORMAT;
}
