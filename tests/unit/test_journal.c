/* Files of a durability log: what goes in comes out, what a crash tore is cut, what is damaged is named. What
 * becomes of it when the disk fails: test_journal_disk.c. */
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "ps/journal_folder.h"
#include "tests/unit/journal_sample.h"

#define SECOND "log/ps-1-of-2/000000000002.log"

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    wire_message *in[6] = {
        sample_message(WIRE_HELLO, 0, 0, 0, 0),  sample_message(WIRE_PUSH, 1, 1, 3, 1000),
        sample_message(WIRE_PUSH, 0, 1, 1, 0),   sample_message(WIRE_PUSH_PULL, 0, 2, 700, 13),
        sample_message(WIRE_FINISH, 0, 2, 0, 0), sample_message(WIRE_PUSH, 1, 2, 1, 3 << 20)};
    in[1]->nonfinite = true;
    in[4]->after_finish = true;
    journal *j = sample_create();
    assert_int_equal(sample_open(j, bases), 0);
    j->ops->begin(j, &(journal_base){.step = 0, .leap = true}, 0);
    uint64_t last = 0;
    for (int i = 0; i < 6; i++)
        last = j->ops->append(j, in[i], i == 0);
    sample_await(j, last);
    sample_destroy(&j);

    j = sample_create();
    ps_error error;
    sample_taken out = {0};
    assert_int_equal(sample_open(j, bases), 1);
    assert_true(bases[0].leap);
    assert_int_equal(j->ops->replay(j, 0, sample_take, &out, &error), PS_OK);
    assert_int_equal(out.count, 6);
    in[3]->type = WIRE_PUSH; /* how weights are asked for is nobody's business later */
    for (int i = 0; i < 6; i++) {
        sample_expect_same(in[i], out.messages[i]);
        assert_int_equal(out.carried[i], i == 0);
        wire_destroy(&in[i]);
    }
    sample_drop(&out);
    assert_int_equal(j->ops->durable(j), last);

    /* It goes on where it ended. */
    assert_int_equal(sample_append(j, sample_message(WIRE_FINISH, 1, 9, 0, 0), false), last + 1);
    sample_await(j, last + 1);
    assert_int_equal(j->ops->replay(j, 0, sample_take, &out, &error), PS_OK);
    assert_int_equal(out.count, 7);
    sample_drop(&out);
    sample_destroy(&j);
}

static void buffers_are_held_until_they_are_written_and_no_longer(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    sample_open(j, bases);
    j->ops->begin(j, &(journal_base){.leap = true}, 0);
    wire_message *m = sample_message(WIRE_PUSH, 0, 1, 1, 100);
    sample_await(j, j->ops->append(j, m, false));
    sample_destroy(&j); /* the writer has ended */
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

static void lists_of_members_come_out_again(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    members_list list = {.version = UINT64_MAX - 5};
    const members_change changes[] = {{.from = 3, .worker = 2},
                                      {.from = UINT64_MAX - 1, .worker = 2, .enters = true}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(members_add(&list, &changes[i], NULL), PS_OK);
    journal *j = sample_create();
    assert_int_equal(sample_open(j, bases), 0);
    j->ops->begin(j, &(journal_base){.step = 0, .leap = true}, 0);
    wire_message *leave = sample_message(WIRE_LEAVE, 0, 0, 0, 0),
                 *restore = sample_message(WIRE_RESTORE, 0, 5, 0, 0);
    assert_int_equal(wire_set_members(leave, &list), PS_OK);
    assert_int_equal(wire_set_members(restore, &list), PS_OK);
    sample_append(j, sample_message(WIRE_PUSH, 1, 1, 1, 16), false);
    sample_append(j, leave, true);
    sample_await(j, sample_append(j, restore, false));
    sample_destroy(&j);

    sample_taken out = {0};
    ps_error error;
    assert_int_equal(sample_replay(&out, &error), PS_OK);
    assert_int_equal(out.count, 3);
    for (int i = 1; i < 3; i++) {
        assert_true(out.messages[i]->members->version == list.version);
        assert_int_equal(out.messages[i]->members->count, 2);
        assert_int_equal(members_first_difference(out.messages[i]->members, &list, 3), MEMBERS_NEVER);
    }
    assert_int_equal(out.messages[2]->step, 5);
    sample_drop(&out);
    members_fini(&list);
}

static void an_end_torn_at_any_byte_is_cut(void **state)
{
    (void)state;
    sample_write();
    size_t bytes;
    uint8_t *whole = get(SAMPLE_FIRST, &bytes);
    static const size_t ends[] = {64, 136, 248, 320, 392};
    assert_int_equal(bytes, ends[4]);
    for (size_t cut = sizeof(segment_head); cut < bytes; cut++) {
        uint32_t expected = 0;
        while (ends[expected + 1] <= cut)
            expected++;
        for (int zeros = 0; zeros < 2; zeros++) { /* the length may have grown before the contents */
            sample_taken out = {0};
            ps_error error;
            size_t after;
            folder_put(SAMPLE_FIRST, whole, cut);
            if (zeros)
                assert_int_equal(truncate(SAMPLE_FIRST, (off_t)bytes), 0);
            if (sample_replay(&out, &error) != PS_OK)
                fail_msg("cut at %zu: %s", cut, error.text);
            if (out.count != expected && !(zeros && out.count == expected + 1)) /* its last bytes are zeros */
                fail_msg("cut at %zu: %u records", cut, out.count);
            sample_drop(&out);
            free(get(SAMPLE_FIRST, &after));
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
    sample_write();
    sample_taken original = {0};
    ps_error error;
    assert_int_equal(sample_replay(&original, &error), PS_OK);
    assert_int_equal(original.count, 4);
    size_t bytes;
    uint8_t *whole = get(SAMPLE_FIRST, &bytes);
    uint32_t named = 0, torn = 0, harmless = 0;
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        sample_taken out = {0};
        whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
        folder_put(SAMPLE_FIRST, whole, bytes);
        whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ps_status status = sample_replay(&out, &error);
        if (status != PS_OK) {
            assert_int_equal(status, PS_EFORMAT);
            assert_non_null(strstr(error.text, SAMPLE_FIRST));
            named++;
        } else {
            torn += out.count == 3;
            harmless += out.count == 4;
            assert_true(out.count >= 3);
            for (uint32_t i = 0; i < out.count; i++)
                sample_expect_same(out.messages[i], original.messages[i]);
        }
        sample_drop(&out);
    }
    /* Harmless: in the 2 bytes that pad a record. The last record is 72 bytes. */
    assert_int_equal(harmless, 2 * 8);
    assert_int_equal(torn, 72 * 8);
    assert_int_equal(named + torn + harmless, 8 * bytes);
    free(whole);
    sample_drop(&original);
}

static void damage_is_named_by_file_record_and_offset(void **state)
{
    (void)state;
    sample_write();
    size_t bytes;
    uint8_t *whole = get(SAMPLE_FIRST, &bytes);
    whole[136 + 80] ^= 1; /* in the body of the second record */
    folder_put(SAMPLE_FIRST, whole, bytes);
    sample_taken out = {0};
    ps_error error;
    assert_int_equal(sample_replay(&out, &error), PS_EFORMAT);
    assert_string_equal(error.text, "./" SAMPLE_FIRST ": record 3 at offset 136: its contents are damaged");
    sample_drop(&out);
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
         "./" SAMPLE_FIRST
         ": it is the log of another job, or of one with other options; remove it to go on from "
         "the newest checkpoint, without the updates in it"},
        {{.job = UINT64_C(0x1122334455667788), .server = 1, .servers = 3},
         "./log/ps-1-of-2 is a log of another number of ps than 3; start as many, or remove it to go on from "
         "the newest checkpoint, without the updates in it"},
    };
    sample_write();
    journal *j = sample_create();
    for (size_t i = 0; i < 2; i++) {
        journal_base bases[JOURNAL_BASES_MAX];
        uint32_t count;
        ps_error error;
        assert_int_equal(j->ops->open(j, &others[i].owner, bases, &count, &error), PS_EMISMATCH);
        assert_string_equal(error.text, others[i].text);
    }
    sample_destroy(&j);
}

static void a_ps_without_a_log_does_not_pass_over_one(void **state)
{
    (void)state;
    ps_error error;
    assert_int_equal(journal_file_expect_none(".", 1, &error), PS_OK);
    sample_write();
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
    sample_write();
    journal *j = sample_create();
    sample_open(j, bases);
    journal_file_finish(j);
    sample_destroy(&j);
    ps_error error;
    assert_int_equal(journal_file_expect_none(".", 1, &error), PS_OK);
    assert_int_equal(folder_count("log"), 0);
}

static void segments_before_the_last_kept_image_but_one_are_dropped(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    sample_open(j, bases);
    j->ops->begin(j, &(journal_base){.step = 0, .leap = true}, 0);
    static const struct {
        uint64_t step, kept;
        int segments;
    } cases[] = {{10, 0, 2}, {20, 0, 3}, {30, 10, 4}, {40, 30, 4}, {50, 40, 3}, {60, 50, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sample_append(j, sample_message(WIRE_FINISH, 0, cases[i].step, 0, 0), false);
        uint64_t position = j->ops->begin(j, &(journal_base){.step = cases[i].step}, cases[i].kept);
        sample_await(j, sample_append(j, sample_message(WIRE_FINISH, 1, cases[i].step, 0, 0), true));
        assert_true(j->ops->durable(j) > position);
        assert_int_equal(folder_count("log/ps-1-of-2"), cases[i].segments);
    }
    sample_destroy(&j);

    /* The image of 20 was never known to be kept: so until 40 was, that of 10 stayed, the last but one.
     *
     * Of the segments 40, 50 and 60 the first may still be begun from; what the others carried over is passed
     * over then. */
    sample_taken out = {0};
    ps_error error;
    j = sample_create();
    assert_int_equal(sample_open(j, bases), 3);
    assert_int_equal(bases[0].step, 60);
    assert_int_equal(bases[2].step, 40);
    assert_int_equal(j->ops->replay(j, 2, sample_take, &out, &error), PS_OK);
    assert_int_equal(out.count, 3);
    assert_true(out.carried[0]);
    assert_int_equal(out.messages[1]->step, 50);
    assert_int_equal(out.messages[2]->step, 60);
    sample_drop(&out);

    /* A leap drops all before it. */
    sample_await(j, j->ops->begin(j, &(journal_base){.step = 20, .epoch = 1, .leap = true}, 60));
    sample_await(j, sample_append(j, sample_message(WIRE_FINISH, 0, 21, 0, 0), false));
    sample_destroy(&j);
    j = sample_create();
    assert_int_equal(sample_open(j, bases), 1);
    assert_int_equal(bases[0].epoch, 1);
    sample_destroy(&j);
}

static void put_segment(uint64_t number, const journal_base *base)
{
    char path[PATH_BYTES];
    segment_head head;
    snprintf(path, sizeof path, "log/ps-1-of-2/%012llu.log", (unsigned long long)number);
    segment_head_fill(&head, &sample_owner, base, number);
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
    journal *j = sample_create();
    sample_taken out = {0};
    ps_error error;
    const uint32_t count = sample_open(j, bases);
    assert_int_equal(count, JOURNAL_BASES_MAX - 1); /* what is before a leap is none */
    assert_int_equal(bases[count - 1].step, 20);
    assert_int_equal(j->ops->replay(j, count - 1, sample_take, &out, &error), PS_OK);
    sample_await(j, j->ops->begin(j, &(journal_base){.step = bases[0].step + 10}, 60));
    if (journal_file_failure(j, &error) != PS_OK)
        fail_msg("%s", error.text);
    sample_destroy(&j);
    assert_int_equal(folder_count("log/ps-1-of-2"), JOURNAL_BASES_MAX);
}

static void a_segment_that_is_missing_is_named(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    sample_open(j, bases);
    j->ops->begin(j, &(journal_base){.step = 0, .leap = true}, 0);
    sample_append(j, sample_message(WIRE_FINISH, 0, 1, 0, 0), false);
    j->ops->begin(j, &(journal_base){.step = 10}, 0);
    sample_append(j, sample_message(WIRE_FINISH, 0, 1, 0, 0), false);
    sample_await(j, j->ops->begin(j, &(journal_base){.step = 20}, 0));
    sample_destroy(&j);
    assert_int_equal(unlink(SECOND), 0);
    sample_taken out = {0};
    ps_error error;
    assert_int_equal(sample_replay(&out, &error), PS_EFORMAT);
    assert_string_equal(error.text, "./" SAMPLE_FIRST ": the records from 3 to 4 are missing");
    sample_drop(&out);
}

/* Only the last segment may be torn: all before it were durable when it began. */
static void an_earlier_segment_has_no_torn_end(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    sample_open(j, bases);
    j->ops->begin(j, &(journal_base){.step = 0, .leap = true}, 0);
    sample_append(j, sample_message(WIRE_FINISH, 0, 1, 0, 0), false);
    sample_await(j, j->ops->begin(j, &(journal_base){.step = 10}, 0));
    sample_destroy(&j);
    assert_int_equal(truncate(SAMPLE_FIRST, 100), 0);
    sample_taken out = {0};
    ps_error error;
    assert_int_equal(sample_replay(&out, &error), PS_EFORMAT);
    assert_string_equal(error.text, "./" SAMPLE_FIRST ": record 2 at offset 64: its head is damaged");
}

static void two_processes_do_not_have_the_same_log(void **state)
{
    (void)state;
    sample_write();
    journal_base bases[JOURNAL_BASES_MAX];
    sample_taken out = {0};
    ps_error error;
    uint32_t count;
    journal *first = sample_create(), *second = sample_create();
    sample_open(first, bases);
    assert_int_equal(second->ops->open(second, &sample_owner, bases, &count, &error), PS_EIO);
    assert_string_equal(error.text, "./log/ps-1.lock is held by another process, which is ps 1 too");
    sample_open(first, bases); /* again, as for another job */
    journal *other = sample_create();
    const journal_owner of_other = {.job = sample_owner.job, .server = 0, .servers = 2};
    assert_int_equal(other->ops->open(other, &of_other, bases, &count, &error), PS_OK);
    sample_destroy(&other);
    sample_destroy(&first);
    assert_int_equal(sample_open(second, bases), 1);
    assert_int_equal(second->ops->replay(second, 0, sample_take, &out, &error), PS_OK);
    sample_drop(&out);
    sample_destroy(&second);
}

/* ---- the format ---- */

/* write_sample, as version 1 of the format has it. */
static const uint8_t sample[] = {
#include "tests/unit/journal_sample.inc"
};

static void the_stored_sample_is_written_and_read(void **state)
{
    (void)state;
    sample_write();
    size_t bytes;
    uint8_t *whole = get(SAMPLE_FIRST, &bytes);
    assert_int_equal(bytes, sizeof sample);
    assert_memory_equal(whole, sample, bytes);
    free(whole);
    folder_put(SAMPLE_FIRST, sample, sizeof sample);
    sample_taken out = {0};
    ps_error error;
    assert_int_equal(sample_replay(&out, &error), PS_OK);
    assert_int_equal(out.count, 4);
    wire_message *push = sample_message(WIRE_PUSH, 2, 8, 2, 11);
    sample_expect_same(out.messages[1], push);
    wire_destroy(&push);
    sample_drop(&out);
}

static void a_later_version_is_refused(void **state)
{
    (void)state;
    sample_write();
    size_t bytes;
    uint8_t *whole = get(SAMPLE_FIRST, &bytes);
    whole[8] = 2;
    folder_put(SAMPLE_FIRST, whole, bytes);
    free(whole);
    sample_taken out = {0};
    ps_error error;
    assert_int_equal(sample_replay(&out, &error), PS_EFORMAT);
    assert_string_equal(error.text,
                        "./" SAMPLE_FIRST ": it has version 2 of the log's format; this program reads 1");
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
        FOLDER_TEST(the_stored_sample_is_written_and_read),
        FOLDER_TEST(a_later_version_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
