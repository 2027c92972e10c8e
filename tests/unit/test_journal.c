/* Files of a durability log: what goes in comes out, what a crash tore is cut, what is damaged is named. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/log.h"
#include "ps/journal_file.h"
#include "ps/journal_folder.h"
#include "tests/unit/folder.h"
#include "tests/unit/torture.h"

#define FIRST  "log/ps-1-of-2/000000000001.log"
#define SECOND "log/ps-1-of-2/000000000002.log"

static const journal_owner owner = {.job = UINT64_C(0x1122334455667788), .server = 1, .servers = 2};

/* ---- the disk ---- */

/* What the disk refuses. What it does not is as good as done: nothing here outlives the machine. */
static struct {
    bool data_sync, sync, folder_sync, cut;
} refused;

int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __real_ftruncate(int fd, off_t bytes);
int __wrap_ftruncate(int fd, off_t bytes);

static bool refuse(bool refuses)
{
    if (refuses)
        errno = EIO;
    return refuses;
}

int __wrap_fdatasync(int fd)
{
    (void)fd;
    return refuse(refused.data_sync) ? -1 : 0;
}

int __wrap_fsync(int fd)
{
    struct stat info;
    const bool of_folder = fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
    return refuse(of_folder ? refused.folder_sync : refused.sync) ? -1 : 0;
}

int __wrap_ftruncate(int fd, off_t bytes)
{
    return refuse(refused.cut) ? -1 : __real_ftruncate(fd, bytes);
}

/* ---- a journal ---- */

static journal *create(void)
{
    journal *j;
    ps_error error;
    if (journal_file_create(".", &j, &error) != PS_OK)
        fail_msg("%s", error.text);
    return j;
}

static void destroy(journal **j)
{
    (*j)->ops->destroy(*j);
    *j = NULL;
}

/* Until it is durable or the journal has failed. */
static void await(journal *j, uint64_t position)
{
    assert_true(position > 0);
    while (j->ops->durable(j) < position && journal_file_failure(j, NULL) == PS_OK) {
        poll(&(struct pollfd){.fd = journal_file_descriptor(j), .events = POLLIN}, 1, -1);
        journal_file_hear(j);
    }
}

static wire_message *make(wire_type type, uint32_t worker, uint64_t step, uint32_t slices, uint32_t bytes)
{
    wire_message *m = wire_create(type, slices);
    assert_non_null(m);
    m->role = WIRE_WORKER;
    m->index = worker;
    m->incarnation = 40 + worker;
    m->step = step;
    m->examples = slices ? 20 : 0;
    m->clip_factor = slices ? 0.5f : 0;
    m->has_payload = bytes > 0;
    for (uint32_t i = 0; i < slices; i++) {
        m->slices[i] = 10 + i;
        m->payloads[i] = bytes ? buffer_alloc(bytes) : NULL;
        for (uint32_t k = 0; k < bytes; k++)
            ((uint8_t *)buffer_data(m->payloads[i]))[k] = (uint8_t)(step * 31 + i * 7 + k);
    }
    return m;
}

static uint64_t append(journal *j, wire_message *m, bool carried)
{
    uint64_t position = j->ops->append(j, m, carried);
    wire_destroy(&m);
    return position;
}

/* Opens what there is; the number of bases. */
static uint32_t open_all(journal *j, journal_base *bases)
{
    uint32_t count;
    ps_error error;
    if (j->ops->open(j, &owner, bases, &count, &error) != PS_OK)
        fail_msg("%s", error.text);
    return count;
}

typedef struct {
    uint32_t count;
    wire_message *messages[64];
    bool carried[64];
} taken;

static ps_status take(void *context, wire_message **message, bool carried, ps_error *error)
{
    taken *t = context;
    (void)error;
    t->carried[t->count] = carried;
    t->messages[t->count++] = *message;
    *message = NULL;
    return PS_OK;
}

static void drop(taken *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        wire_destroy(&t->messages[i]);
    t->count = 0;
}

static void expect_same(const wire_message *a, const wire_message *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->incarnation, b->incarnation);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->examples, b->examples);
    assert_true(a->clip_factor == b->clip_factor);
    assert_int_equal(a->nonfinite, b->nonfinite);
    assert_int_equal(a->after_finish, b->after_finish);
    assert_int_equal(a->has_payload, b->has_payload);
    assert_int_equal(a->slice_count, b->slice_count);
    for (uint32_t i = 0; i < a->slice_count; i++) {
        assert_int_equal(a->slices[i], b->slices[i]);
        if (!a->has_payload)
            continue;
        assert_int_equal(buffer_size(a->payloads[i]), buffer_size(b->payloads[i]));
        assert_memory_equal(buffer_bytes(a->payloads[i]), buffer_bytes(b->payloads[i]),
                            buffer_size(a->payloads[i]));
    }
}

/* A log of one segment with a record of each kind, each durable before the next is written. */
static void write_sample(void)
{
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    assert_int_equal(open_all(j, bases), 0);
    await(j, j->ops->begin(j, &(journal_base){.step = 7, .epoch = 3, .leap = true, .carried = 1}, 0));
    await(j, append(j, make(WIRE_HELLO, 2, 0, 0, 0), true));
    await(j, append(j, make(WIRE_PUSH, 2, 8, 2, 11), false));
    wire_message *restore = make(WIRE_RESTORE, 0, 8, 0, 0);
    restore->incarnation = 0;
    restore->epoch = 4;
    await(j, append(j, restore, false));
    wire_message *finish = make(WIRE_FINISH, 1, 8, 0, 0);
    finish->after_finish = true;
    await(j, append(j, finish, false));
    destroy(&j);
}

/* ---- tests ---- */

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    wire_message *in[6] = {make(WIRE_HELLO, 0, 0, 0, 0),  make(WIRE_PUSH, 1, 1, 3, 1000),
                           make(WIRE_PUSH, 0, 1, 1, 0),   make(WIRE_PUSH_PULL, 0, 2, 700, 13),
                           make(WIRE_FINISH, 0, 2, 0, 0), make(WIRE_PUSH, 1, 2, 1, 3 << 20)};
    in[1]->nonfinite = true;
    in[4]->after_finish = true;
    journal *j = create();
    assert_int_equal(open_all(j, bases), 0);
    j->ops->begin(j, &(journal_base){.step = 0, .leap = true}, 0);
    uint64_t last = 0;
    for (int i = 0; i < 6; i++)
        last = j->ops->append(j, in[i], i == 0);
    await(j, last);
    destroy(&j);

    j = create();
    ps_error error;
    taken out = {0};
    assert_int_equal(open_all(j, bases), 1);
    assert_true(bases[0].leap);
    assert_int_equal(j->ops->replay(j, 0, take, &out, &error), PS_OK);
    assert_int_equal(out.count, 6);
    in[3]->type = WIRE_PUSH; /* how weights are asked for is nobody's business later */
    for (int i = 0; i < 6; i++) {
        expect_same(in[i], out.messages[i]);
        assert_int_equal(out.carried[i], i == 0);
        wire_destroy(&in[i]);
    }
    drop(&out);
    assert_int_equal(j->ops->durable(j), last);

    /* It goes on where it ended. */
    assert_int_equal(append(j, make(WIRE_FINISH, 1, 9, 0, 0), false), last + 1);
    await(j, last + 1);
    assert_int_equal(j->ops->replay(j, 0, take, &out, &error), PS_OK);
    assert_int_equal(out.count, 7);
    drop(&out);
    destroy(&j);
}

static void buffers_are_held_until_they_are_written_and_no_longer(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    open_all(j, bases);
    j->ops->begin(j, &(journal_base){.leap = true}, 0);
    wire_message *m = make(WIRE_PUSH, 0, 1, 1, 100);
    await(j, j->ops->append(j, m, false));
    destroy(&j); /* the writer has ended */
    assert_false(buffer_is_shared(m->payloads[0]));
    wire_destroy(&m);
}

/* The size of a file, then its bytes; free them. */
static uint8_t *get(const char *path, size_t *bytes)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    *bytes = (size_t)info.st_size;
    uint8_t *data = malloc(*bytes + 1);
    FILE *f = fopen(path, "rb");
    assert_int_equal(fread(data, 1, *bytes, f), *bytes);
    fclose(f);
    return data;
}

/* Replays the first segment and those behind it. */
static ps_status replay(taken *out, ps_error *error)
{
    journal_base bases[JOURNAL_BASES_MAX];
    uint32_t count;
    journal *j = create();
    ps_status status = j->ops->open(j, &owner, bases, &count, error);
    if (status == PS_OK)
        status = j->ops->replay(j, count - 1, take, out, error);
    destroy(&j);
    return status;
}

static void lists_of_members_come_out_again(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    members_list list = {.version = UINT64_MAX - 5};
    const members_change changes[] = {{.from = 3, .worker = 2},
                                      {.from = UINT64_MAX - 1, .worker = 2, .enters = true}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(members_add(&list, &changes[i], NULL), PS_OK);
    journal *j = create();
    assert_int_equal(open_all(j, bases), 0);
    j->ops->begin(j, &(journal_base){.step = 0, .leap = true}, 0);
    wire_message *leave = make(WIRE_LEAVE, 0, 0, 0, 0), *restore = make(WIRE_RESTORE, 0, 5, 0, 0);
    assert_int_equal(wire_set_members(leave, &list), PS_OK);
    assert_int_equal(wire_set_members(restore, &list), PS_OK);
    append(j, make(WIRE_PUSH, 1, 1, 1, 16), false);
    append(j, leave, true);
    await(j, append(j, restore, false));
    destroy(&j);

    taken out = {0};
    ps_error error;
    assert_int_equal(replay(&out, &error), PS_OK);
    assert_int_equal(out.count, 3);
    for (int i = 1; i < 3; i++) {
        assert_true(out.messages[i]->members->version == list.version);
        assert_int_equal(out.messages[i]->members->count, 2);
        assert_int_equal(members_first_difference(out.messages[i]->members, &list, 3), MEMBERS_NEVER);
    }
    assert_int_equal(out.messages[2]->step, 5);
    drop(&out);
    members_fini(&list);
}

static void an_end_torn_at_any_byte_is_cut(void **state)
{
    (void)state;
    write_sample();
    size_t bytes;
    uint8_t *whole = get(FIRST, &bytes);
    static const size_t ends[] = {64, 136, 248, 320, 392};
    assert_int_equal(bytes, ends[4]);
    for (size_t cut = sizeof(segment_head); cut < bytes; cut++) {
        uint32_t expected = 0;
        while (ends[expected + 1] <= cut)
            expected++;
        for (int zeros = 0; zeros < 2; zeros++) { /* the length may have grown before the contents */
            taken out = {0};
            ps_error error;
            size_t after;
            folder_put(FIRST, whole, cut);
            if (zeros)
                assert_int_equal(truncate(FIRST, (off_t)bytes), 0);
            if (replay(&out, &error) != PS_OK)
                fail_msg("cut at %zu: %s", cut, error.text);
            if (out.count != expected && !(zeros && out.count == expected + 1)) /* its last bytes are zeros */
                fail_msg("cut at %zu: %u records", cut, out.count);
            drop(&out);
            free(get(FIRST, &after));
            assert_true(after == ends[expected] || (zeros && after == ends[expected + 1]));
        }
    }
    free(whole);
}

/* Every bit: the records are what they were, but for the last one, which looks torn; or the damage is named.
 */
static void no_flipped_bit_goes_unseen(void **state)
{
    (void)state;
    write_sample();
    taken original = {0};
    ps_error error;
    assert_int_equal(replay(&original, &error), PS_OK);
    assert_int_equal(original.count, 4);
    size_t bytes;
    uint8_t *whole = get(FIRST, &bytes);
    uint32_t named = 0, torn = 0, harmless = 0;
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        taken out = {0};
        whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
        folder_put(FIRST, whole, bytes);
        whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ps_status status = replay(&out, &error);
        if (status != PS_OK) {
            assert_int_equal(status, PS_EFORMAT);
            assert_non_null(strstr(error.text, FIRST));
            named++;
        } else {
            torn += out.count == 3;
            harmless += out.count == 4;
            assert_true(out.count >= 3);
            for (uint32_t i = 0; i < out.count; i++)
                expect_same(out.messages[i], original.messages[i]);
        }
        drop(&out);
    }
    /* Harmless: in the 2 bytes that pad a record. The last record is 72 bytes. */
    assert_int_equal(harmless, 2 * 8);
    assert_int_equal(torn, 72 * 8);
    assert_int_equal(named + torn + harmless, 8 * bytes);
    free(whole);
    drop(&original);
}

static void damage_is_named_by_file_record_and_offset(void **state)
{
    (void)state;
    write_sample();
    size_t bytes;
    uint8_t *whole = get(FIRST, &bytes);
    whole[136 + 80] ^= 1; /* in the body of the second record */
    folder_put(FIRST, whole, bytes);
    taken out = {0};
    ps_error error;
    assert_int_equal(replay(&out, &error), PS_EFORMAT);
    assert_string_equal(error.text, "./" FIRST ": record 3 at offset 136: its contents are damaged");
    drop(&out);
    free(whole);
}

static void a_log_of_someone_else_is_refused(void **state)
{
    (void)state;
    static const struct {
        journal_owner owner;
        const char *text;
    } others[] = {
        {{.job = 1, .server = 1, .servers = 2},
         "./" FIRST ": it is the log of another job, or of one with other options; remove it to go on from "
         "the newest checkpoint, without the updates in it"},
        {{.job = UINT64_C(0x1122334455667788), .server = 1, .servers = 3},
         "./log/ps-1-of-2 is a log of another number of ps than 3; start as many, or remove it to go on from "
         "the newest checkpoint, without the updates in it"},
    };
    write_sample();
    journal *j = create();
    for (size_t i = 0; i < 2; i++) {
        journal_base bases[JOURNAL_BASES_MAX];
        uint32_t count;
        ps_error error;
        assert_int_equal(j->ops->open(j, &others[i].owner, bases, &count, &error), PS_EMISMATCH);
        assert_string_equal(error.text, others[i].text);
    }
    destroy(&j);
}

static void a_ps_without_a_log_does_not_pass_over_one(void **state)
{
    (void)state;
    ps_error error;
    assert_int_equal(journal_file_expect_none(".", 1, &error), PS_OK);
    write_sample();
    assert_int_equal(journal_file_expect_none(".", 0, &error), PS_OK);
    assert_int_equal(journal_file_expect_none(".", 1, &error), PS_ECONFIG);
    assert_string_equal(error.text,
                        "./log/ps-1-of-2 holds updates that may be in no checkpoint: start with --durability "
                        "log, or remove it to go on without them");
}

static void a_log_that_is_not_needed_any_more_goes_with_its_journal(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    write_sample();
    journal *j = create();
    open_all(j, bases);
    journal_file_finish(j);
    destroy(&j);
    ps_error error;
    assert_int_equal(journal_file_expect_none(".", 1, &error), PS_OK);
    assert_int_equal(folder_count("log"), 0);
}

static void segments_before_the_last_kept_image_but_one_are_dropped(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    open_all(j, bases);
    j->ops->begin(j, &(journal_base){.step = 0, .leap = true}, 0);
    static const struct {
        uint64_t step, kept;
        int segments;
    } cases[] = {{10, 0, 2}, {20, 0, 3}, {30, 10, 4}, {40, 30, 4}, {50, 40, 3}, {60, 50, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        append(j, make(WIRE_FINISH, 0, cases[i].step, 0, 0), false);
        uint64_t position = j->ops->begin(j, &(journal_base){.step = cases[i].step}, cases[i].kept);
        await(j, append(j, make(WIRE_FINISH, 1, cases[i].step, 0, 0), true));
        assert_true(j->ops->durable(j) > position);
        assert_int_equal(folder_count("log/ps-1-of-2"), cases[i].segments);
    }
    destroy(&j);

    /* The image of 20 was never known to be kept: so until 40 was, that of 10 stayed, the last but one.
     *
     * Of the segments 40, 50 and 60 the first may still be begun from; what the others carried over is passed
     * over then. */
    taken out = {0};
    ps_error error;
    j = create();
    assert_int_equal(open_all(j, bases), 3);
    assert_int_equal(bases[0].step, 60);
    assert_int_equal(bases[2].step, 40);
    assert_int_equal(j->ops->replay(j, 2, take, &out, &error), PS_OK);
    assert_int_equal(out.count, 3);
    assert_true(out.carried[0]);
    assert_int_equal(out.messages[1]->step, 50);
    assert_int_equal(out.messages[2]->step, 60);
    drop(&out);

    /* A leap drops all before it. */
    await(j, j->ops->begin(j, &(journal_base){.step = 20, .epoch = 1, .leap = true}, 60));
    await(j, append(j, make(WIRE_FINISH, 0, 21, 0, 0), false));
    destroy(&j);
    j = create();
    assert_int_equal(open_all(j, bases), 1);
    assert_int_equal(bases[0].epoch, 1);
    destroy(&j);
}

static void put_segment(uint64_t number, const journal_base *base)
{
    char path[PATH_BYTES];
    segment_head head;
    snprintf(path, sizeof path, "log/ps-1-of-2/%012llu.log", (unsigned long long)number);
    segment_head_fill(&head, &owner, base, number);
    folder_put(path, &head, sizeof head);
}

/* As after images that failed so often: the oldest is the only one to come back from. */
static void as_many_segments_as_there_may_be_are_all_bases_and_make_room_for_one_more(void **state)
{
    (void)state;
    static journal_base bases[JOURNAL_BASES_MAX];
    assert_int_equal(mkdir("log", 0700), 0);
    assert_int_equal(mkdir("log/ps-1-of-2", 0700), 0);
    for (uint64_t i = 1; i <= JOURNAL_BASES_MAX; i++)
        put_segment(i, &(journal_base){.step = 10 * i, .leap = i <= 2});
    journal *j = create();
    taken out = {0};
    ps_error error;
    const uint32_t count = open_all(j, bases);
    assert_int_equal(count, JOURNAL_BASES_MAX - 1); /* what is before a leap is none */
    assert_int_equal(bases[count - 1].step, 20);
    assert_int_equal(j->ops->replay(j, count - 1, take, &out, &error), PS_OK);
    await(j, j->ops->begin(j, &(journal_base){.step = bases[0].step + 10}, 60));
    if (journal_file_failure(j, &error) != PS_OK)
        fail_msg("%s", error.text);
    destroy(&j);
    assert_int_equal(folder_count("log/ps-1-of-2"), JOURNAL_BASES_MAX);
}

static void a_segment_that_is_missing_is_named(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    open_all(j, bases);
    j->ops->begin(j, &(journal_base){.step = 0, .leap = true}, 0);
    append(j, make(WIRE_FINISH, 0, 1, 0, 0), false);
    j->ops->begin(j, &(journal_base){.step = 10}, 0);
    append(j, make(WIRE_FINISH, 0, 1, 0, 0), false);
    await(j, j->ops->begin(j, &(journal_base){.step = 20}, 0));
    destroy(&j);
    assert_int_equal(unlink(SECOND), 0);
    taken out = {0};
    ps_error error;
    assert_int_equal(replay(&out, &error), PS_EFORMAT);
    assert_string_equal(error.text, "./" FIRST ": the records from 3 to 4 are missing");
    drop(&out);
}

/* Only the last segment may be torn: all before it were durable when it began. */
static void an_earlier_segment_has_no_torn_end(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    open_all(j, bases);
    j->ops->begin(j, &(journal_base){.step = 0, .leap = true}, 0);
    append(j, make(WIRE_FINISH, 0, 1, 0, 0), false);
    await(j, j->ops->begin(j, &(journal_base){.step = 10}, 0));
    destroy(&j);
    assert_int_equal(truncate(FIRST, 100), 0);
    taken out = {0};
    ps_error error;
    assert_int_equal(replay(&out, &error), PS_EFORMAT);
    assert_string_equal(error.text, "./" FIRST ": record 2 at offset 64: its head is damaged");
}

static void two_processes_do_not_have_the_same_log(void **state)
{
    (void)state;
    write_sample();
    journal_base bases[JOURNAL_BASES_MAX];
    taken out = {0};
    ps_error error;
    uint32_t count;
    journal *first = create(), *second = create();
    open_all(first, bases);
    assert_int_equal(second->ops->open(second, &owner, bases, &count, &error), PS_EIO);
    assert_string_equal(error.text, "./log/ps-1.lock is held by another process, which is ps 1 too");
    open_all(first, bases); /* again, as for another job */
    journal *other = create();
    const journal_owner of_other = {.job = owner.job, .server = 0, .servers = 2};
    assert_int_equal(other->ops->open(other, &of_other, bases, &count, &error), PS_OK);
    destroy(&other);
    destroy(&first);
    assert_int_equal(open_all(second, bases), 1);
    assert_int_equal(second->ops->replay(second, 0, take, &out, &error), PS_OK);
    drop(&out);
    destroy(&second);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void where_the_disk_is_full_nothing_more_becomes_durable(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    open_all(j, bases);
    await(j, j->ops->begin(j, &(journal_base){.leap = true}, 0));
    uint64_t good = append(j, make(WIRE_PUSH, 0, 1, 1, 100), false);
    await(j, good);
    limit_files(1000);
    uint64_t bad = append(j, make(WIRE_PUSH, 0, 2, 1, 5000), false);
    await(j, bad);
    limit_files(RLIM_INFINITY);
    ps_error error;
    assert_int_equal(journal_file_failure(j, &error), PS_ELOG);
    assert_string_equal(error.text, "no update can be acknowledged any more: cannot write to ./" FIRST
                                    ": File too large");
    append(j, make(WIRE_PUSH, 0, 3, 1, 10), false); /* not even when there is room again */
    journal_file_finish(j);
    assert_int_equal(j->ops->durable(j), good);
    destroy(&j);

    /* The next process finds what was durable, and goes on behind it. */
    taken out = {0};
    assert_int_equal(replay(&out, &error), PS_OK);
    assert_int_equal(out.count, 1);
    drop(&out);
}

/* The system may read back what it could not write, and may take it for written. */
static void what_could_not_be_synced_is_not_taken_back(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    open_all(j, bases);
    j->ops->begin(j, &(journal_base){.leap = true}, 0);
    await(j, append(j, make(WIRE_PUSH, 0, 1, 1, 100), false));
    refused.data_sync = true;
    await(j, append(j, make(WIRE_PUSH, 0, 2, 1, 5000), false));
    refused.data_sync = false;
    ps_error error;
    assert_int_equal(journal_file_failure(j, &error), PS_ELOG);
    assert_string_equal(error.text, "no update can be acknowledged any more: cannot sync ./" FIRST
                                    ": Input/output error");
    destroy(&j);
    taken out = {0};
    assert_int_equal(replay(&out, &error), PS_OK);
    assert_int_equal(out.count, 1);
    drop(&out);
    struct stat info;
    assert_int_equal(stat(FIRST, &info), 0);
    assert_int_equal(info.st_size, 64 + 72 + 8 + 100 + 4);
}

static void where_it_cannot_be_cut_off_either_somebody_is_told_to(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    open_all(j, bases);
    await(j, j->ops->begin(j, &(journal_base){.leap = true}, 0));
    refused.data_sync = refused.cut = true;
    await(j, append(j, make(WIRE_PUSH, 0, 1, 1, 100), false));
    refused.data_sync = refused.cut = false;
    ps_error error;
    assert_int_equal(journal_file_failure(j, &error), PS_ELOG);
    assert_string_equal(error.text, "no update can be acknowledged any more: cannot sync ./" FIRST
                                    ": Input/output error; nor can its end be cut off (Input/output error): "
                                    "cut it to 64 bytes before this ps starts again");
    destroy(&j);
}

static void a_segment_that_may_not_stay_is_not_begun_from(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    open_all(j, bases);
    await(j, j->ops->begin(j, &(journal_base){.leap = true}, 0));
    refused.folder_sync = true;
    await(j, j->ops->begin(j, &(journal_base){.step = 10}, 0));
    refused.folder_sync = false;
    assert_int_equal(journal_file_failure(j, NULL), PS_ELOG);
    destroy(&j);
    assert_int_equal(folder_count("log/ps-1-of-2"), 1);
}

static void what_was_read_is_synced_before_it_counts_as_durable(void **state)
{
    (void)state;
    write_sample();
    taken out = {0};
    ps_error error;
    refused.sync = true;
    assert_int_equal(replay(&out, &error), PS_EIO);
    refused.sync = false;
    assert_string_equal(error.text, "cannot sync ./" FIRST ": Input/output error");
    refused.folder_sync = true;
    assert_int_equal(replay(&out, &error), PS_EIO);
    refused.folder_sync = false;
    assert_string_equal(error.text, "cannot sync ./log/ps-1-of-2: Input/output error");
    drop(&out);
}

static void without_a_segment_nothing_is_appended(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    assert_int_equal(append(j, make(WIRE_HELLO, 0, 0, 0, 0), false), 0);
    open_all(j, bases);
    assert_int_equal(append(j, make(WIRE_HELLO, 0, 0, 0, 0), false), 0);
    torture_begin(0);
    assert_int_equal(j->ops->begin(j, &(journal_base){.leap = true}, 0), 0);
    torture_end();
    assert_int_equal(append(j, make(WIRE_HELLO, 0, 0, 0, 0), false), 0);
    await(j, j->ops->begin(j, &(journal_base){.leap = true}, 0));
    await(j, append(j, make(WIRE_HELLO, 0, 0, 0, 0), false));

    /* What stood in another segment than the shard believes would be wrong. */
    torture_begin(0);
    assert_int_equal(j->ops->begin(j, &(journal_base){.step = 10, .leap = true}, 0), 0);
    torture_end();
    assert_int_equal(append(j, make(WIRE_HELLO, 0, 0, 0, 0), false), 0);
    assert_int_equal(journal_file_failure(j, NULL), PS_OK);
    destroy(&j);
    taken out = {0};
    ps_error error;
    assert_int_equal(replay(&out, &error), PS_OK);
    assert_int_equal(out.count, 1);
    drop(&out);
}

static void a_segment_that_cannot_be_made_ends_it_too(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = create();
    open_all(j, bases);
    folder_put("log/ps-1-of-2", "", 0);
    await(j, j->ops->begin(j, &(journal_base){.leap = true}, 0));
    ps_error error;
    assert_int_equal(journal_file_failure(j, &error), PS_ELOG);
    assert_string_equal(error.text,
                        "no update can be acknowledged any more: cannot make folder ./log/ps-1-of-2: Not a "
                        "directory");
    destroy(&j);
}

/* ---- the format ---- */

/* write_sample, as version 1 of the format has it. */
static const uint8_t sample[] = {
#include "tests/unit/journal_sample.inc"
};

static void the_stored_sample_is_written_and_read(void **state)
{
    (void)state;
    write_sample();
    size_t bytes;
    uint8_t *whole = get(FIRST, &bytes);
    assert_int_equal(bytes, sizeof sample);
    assert_memory_equal(whole, sample, bytes);
    free(whole);
    folder_put(FIRST, sample, sizeof sample);
    taken out = {0};
    ps_error error;
    assert_int_equal(replay(&out, &error), PS_OK);
    assert_int_equal(out.count, 4);
    wire_message *push = make(WIRE_PUSH, 2, 8, 2, 11);
    expect_same(out.messages[1], push);
    wire_destroy(&push);
    drop(&out);
}

static void a_later_version_is_refused(void **state)
{
    (void)state;
    write_sample();
    size_t bytes;
    uint8_t *whole = get(FIRST, &bytes);
    whole[8] = 2;
    folder_put(FIRST, whole, bytes);
    free(whole);
    taken out = {0};
    ps_error error;
    assert_int_equal(replay(&out, &error), PS_EFORMAT);
    assert_string_equal(error.text,
                        "./" FIRST ": it has version 2 of the log's format; this program reads 1");
}

int main(void)
{
    log_setup("test", LOG_OFF);
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(what_goes_in_comes_out),
        FOLDER_TEST(lists_of_members_come_out_again),
        FOLDER_TEST(buffers_are_held_until_they_are_written_and_no_longer),
        FOLDER_TEST(an_end_torn_at_any_byte_is_cut),
        FOLDER_TEST(no_flipped_bit_goes_unseen),
        FOLDER_TEST(damage_is_named_by_file_record_and_offset),
        FOLDER_TEST(a_log_of_someone_else_is_refused),
        FOLDER_TEST(a_ps_without_a_log_does_not_pass_over_one),
        FOLDER_TEST(a_log_that_is_not_needed_any_more_goes_with_its_journal),
        FOLDER_TEST(segments_before_the_last_kept_image_but_one_are_dropped),
        FOLDER_TEST(as_many_segments_as_there_may_be_are_all_bases_and_make_room_for_one_more),
        FOLDER_TEST(a_segment_that_is_missing_is_named),
        FOLDER_TEST(an_earlier_segment_has_no_torn_end),
        FOLDER_TEST(two_processes_do_not_have_the_same_log),
        FOLDER_TEST(where_the_disk_is_full_nothing_more_becomes_durable),
        FOLDER_TEST(what_could_not_be_synced_is_not_taken_back),
        FOLDER_TEST(where_it_cannot_be_cut_off_either_somebody_is_told_to),
        FOLDER_TEST(a_segment_that_may_not_stay_is_not_begun_from),
        FOLDER_TEST(what_was_read_is_synced_before_it_counts_as_durable),
        FOLDER_TEST(without_a_segment_nothing_is_appended),
        FOLDER_TEST(a_segment_that_cannot_be_made_ends_it_too),
        FOLDER_TEST(the_stored_sample_is_written_and_read),
        FOLDER_TEST(a_later_version_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
