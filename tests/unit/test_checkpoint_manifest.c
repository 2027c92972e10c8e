/* common/checkpoint_manifest: what is printed is read again, and nothing that was damaged or made up is. */
#include "common/checkpoint_manifest.h"

#include <stdlib.h>
#include <string.h>

#include "common/checksum.h"
#include "tests/unit/job_sample.h"
#include "tests/unit/torture.h"

/* Of ps 1 of 2 of a small job of 3 workers. */
static void make(manifest *m)
{
    *m = (manifest){.server = 1, .servers = 2, .slots = 1, .data_bytes = 12345};
    job_sample(&m->job, 2, 3, 3000);
    assert_int_equal(partition_init(&m->partition, &m->job, NULL), PS_OK);
    m->crc_count = partition_server_count(&m->partition, 1) * 2;
    m->crc = calloc(m->crc_count, sizeof *m->crc);
    for (uint32_t i = 0; i < m->crc_count; i++)
        m->crc[i] = UINT32_MAX - i;
    m->state = (checkpoint_state){.step = 200,
                                  .updates = 199,
                                  .examples = UINT64_C(9007199254740991),
                                  .epoch = 4,
                                  .final = true,
                                  .clock_count = 3,
                                  .clocks = calloc(3, sizeof(checkpoint_clock))};
    m->state.clocks[1] = (checkpoint_clock){.pushed = 201, .finished = true};
    const members_change leaves = {.from = 12, .worker = 2},
                         enters = {.from = 90, .worker = 2, .enters = true};
    m->state.members.version = UINT64_MAX - 1; /* more than a JSON number holds */
    assert_int_equal(members_add(&m->state.members, &leaves, NULL), PS_OK);
    assert_int_equal(members_add(&m->state.members, &enters, NULL), PS_OK);
}

static char *print(size_t *bytes)
{
    manifest m;
    make(&m);
    char *text;
    assert_int_equal(manifest_print(&m, &text, bytes, NULL), PS_OK);
    manifest_fini(&m);
    return text;
}

static void assert_refused(const char *text, size_t bytes, const char *reason)
{
    manifest m;
    ps_error error = {PS_OK, ""};
    ps_status status = manifest_parse(text, bytes, &m, &error);
    if (status == PS_OK)
        fail_msg("accepted, though: %s", reason);
    assert_int_equal(status, PS_EFORMAT);
    assert_int_equal(error.status, PS_EFORMAT);
    if (!strstr(error.text, reason))
        fail_msg("'%s' does not say '%s'", error.text, reason);
    assert_null(m.crc);
    assert_null(m.state.clocks);
    assert_null(m.job.tensors.tensors);
}

/* The text up to its checksum, ended by the right one. */
static void assert_refused_in_spite_of_its_checksum(const char *members, const char *reason)
{
    char *text = NULL;
    int bytes = asprintf(&text, "%s,\"checksum\":\"%08x\"}\n", members, checksum(members, strlen(members)));
    assert_true(bytes > 0);
    assert_refused(text, (size_t)bytes, reason);
    free(text);
}

/* The sample with the first `from` replaced by `to`. */
static char *edit(const char *from, const char *to)
{
    size_t bytes;
    char *text = print(&bytes), *edited = NULL;
    *strstr(text, ",\"checksum\"") = '\0';
    char *place = strstr(text, from);
    if (!place)
        fail_msg("the sample has no %s", from);
    *place = '\0';
    assert_true(asprintf(&edited, "%s%s%s", text, to, place + strlen(from)) > 0);
    free(text);
    return edited;
}

static void assert_edit_is_refused(const char *from, const char *to, const char *reason)
{
    char *edited = edit(from, to);
    assert_refused_in_spite_of_its_checksum(edited, reason);
    free(edited);
}

static void what_is_printed_is_read_again(void **state)
{
    (void)state;
    size_t bytes;
    char *text = print(&bytes);
    assert_int_equal(strlen(text), bytes);
    manifest m, made;
    make(&made);
    assert_int_equal(manifest_parse(text, bytes, &m, NULL), PS_OK);
    assert_int_equal(m.server, 1);
    assert_int_equal(m.servers, 2);
    assert_int_equal(m.slots, 1);
    assert_true(m.data_bytes == 12345);
    assert_true(m.state.step == 200 && m.state.updates == 199 && m.state.epoch == 4 && m.state.final);
    assert_true(m.state.examples == UINT64_C(9007199254740991));
    assert_int_equal(m.state.clock_count, 3);
    assert_memory_equal(&m.state.clocks[1].pushed, &made.state.clocks[1].pushed, sizeof(uint64_t));
    assert_true(m.state.clocks[1].finished && !m.state.clocks[0].finished);
    assert_true(m.state.members.version == made.state.members.version);
    assert_int_equal(m.state.members.count, 2);
    assert_int_equal(members_first_difference(&m.state.members, &made.state.members, 3), MEMBERS_NEVER);
    assert_int_equal(m.crc_count, made.crc_count);
    assert_memory_equal(m.crc, made.crc, m.crc_count * sizeof *m.crc);
    assert_int_equal(job_difference(&m.job, &made.job, NULL), PS_OK);
    assert_int_equal(m.partition.count, made.partition.count);
    manifest_fini(&m);
    manifest_fini(&m);
    manifest_fini(&made);
    free(text);
}

/* Written by the first version of the format. */
static const char stored[] =
    "{\"penstock_checkpoint\":1,\"step\":200,\"server\":1,\"servers\":2,\"updates\":199,\"examples\":"
    "9007199254740991,\"epoch\":4,\"final\":true,\"clocks\":[[0,0],[201,1],[0,0]],\"slots\":1,\"da"
    "ta_bytes\":12345,\"crc\":[4294967295,4294967294],\"job\":\"0a0870656e73746f636b10021803508"
    "0205a3f11cdccccccccccec3f19cdccccccccccec3f212b8716d9cef7ef3f29cdccccccccccec3f313a8"
    "c30e28e79453e399a9999999999b93f51000000000000e0bf621b11000000000000f03f299a999999999"
    "9b93f39000000000000f03f6a090a01771202b8171a007001780181017b14ae47e17a843f\",\"checksum"
    "\":\"ce1dda57\"}"
    "\n";

static void manifest_of_the_first_format_is_still_read(void **state)
{
    (void)state;
    manifest m;
    ps_error error = {PS_OK, ""};
    if (manifest_parse(stored, sizeof stored - 1, &m, &error) != PS_OK)
        fail_msg("%s", error.text);
    assert_true(m.state.step == 200 && m.state.clocks[1].pushed == 201);
    manifest_fini(&m);
}

static void members_of_later_versions_are_tolerated(void **state)
{
    (void)state;
    char *edited = edit("\"slots\":1", "\"slots\":1,\"later\":{\"a\":[1,null]}"), *text = NULL;
    int bytes = asprintf(&text, "%s,\"checksum\":\"%08x\"}\n", edited, checksum(edited, strlen(edited)));
    manifest m;
    assert_int_equal(manifest_parse(text, (size_t)bytes, &m, NULL), PS_OK);
    manifest_fini(&m);
    free(text);
    free(edited);
}

static void manifest_cut_anywhere_is_refused(void **state)
{
    (void)state;
    size_t bytes;
    char *text = print(&bytes);
    for (size_t cut = 0; cut < bytes; cut++) {
        char *exact = malloc(cut + 1); /* a sanitizer sees a read beyond */
        memcpy(exact, text, cut);
        assert_refused(exact, cut, cut <= 24 ? "it is cut off" : "");
        free(exact);
    }
    free(text);
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    size_t bytes;
    char *text = print(&bytes);
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        text[bit / 8] ^= (char)(1 << bit % 8);
        assert_refused(text, bytes, "it is damaged: its checksum does not fit");
        text[bit / 8] ^= (char)(1 << bit % 8);
    }
    free(text);
}

static void text_beyond_the_end_is_found(void **state)
{
    (void)state;
    size_t bytes;
    char *text = print(&bytes), *longer = NULL;
    assert_true(asprintf(&longer, "%s ", text) > 0);
    assert_refused(longer, bytes + 1, "it is damaged");
    free(longer);
    free(text);
}

static void what_was_made_up_is_refused_in_spite_of_its_checksum(void **state)
{
    (void)state;
    assert_refused_in_spite_of_its_checksum("", "");
    assert_refused_in_spite_of_its_checksum("[1", "");
    assert_refused_in_spite_of_its_checksum("{\"a\":1", "penstock_checkpoint is missing");
    assert_refused_in_spite_of_its_checksum("{\"penstock_checkpoint\":2",
                                            "it is of format 2; this program knows format 1");
    assert_edit_is_refused("\"step\":200", "\"step\":-1", "step must be");
    assert_edit_is_refused("\"step\":200", "\"step\":1e300", "step must be");
    assert_edit_is_refused("\"step\":200", "\"step\":2.5", "step must be");
    assert_edit_is_refused("\"step\":200", "\"step\":\"200\"", "step must be");
    assert_edit_is_refused("\"step\":200", "\"step\":[200]", "step must be");
    assert_edit_is_refused("\"step\":200,", "", "step is missing");
    assert_edit_is_refused("\"step\":200", "\"step\":200,\"step\":201", "step");
    assert_edit_is_refused("\"updates\":199", "\"updates\":null", "updates must be");
    assert_edit_is_refused("\"examples\":", "\"other\":", "examples is missing");
    assert_edit_is_refused("\"epoch\":4", "\"epoch\":9007199254740993", "epoch must be");
    assert_edit_is_refused("\"final\":true", "\"final\":1", "final must be");
    assert_edit_is_refused("\"server\":1", "\"server\":2", "it is of ps 2 of 2, but its job has 2");
    assert_edit_is_refused("\"server\":1", "\"server\":4294967297", "server must be");
    assert_edit_is_refused("\"servers\":2", "\"servers\":3", "it is of ps 1 of 3, but its job has 2");
    assert_edit_is_refused("\"slots\":1", "\"slots\":3", "slots must be");
    assert_edit_is_refused("\"slots\":1", "\"slots\":0", "checksums for");
    assert_edit_is_refused("\"data_bytes\":12345", "\"data_bytes\":-1", "data_bytes must be");
    assert_edit_is_refused("\"clocks\":[[0,0],", "\"clocks\":[", "there are 2 clocks for 3 workers");
    assert_edit_is_refused("\"clocks\":[[0,0]", "\"clocks\":[[0]", "each of clocks must be two numbers");
    assert_edit_is_refused("\"clocks\":[[0,0]", "\"clocks\":[{\"a\":0,\"b\":0}", "each of clocks must be");
    assert_edit_is_refused("\"clocks\":[[0,0]", "\"clocks\":[[0,2]", "clock must be");
    assert_edit_is_refused("\"clocks\":[[0,0]", "\"clocks\":[[-1,0]", "clock must be");
    assert_edit_is_refused("\"clocks\":[", "\"clocks\":7,\"c\":[", "clocks must be");
    assert_edit_is_refused("\"members\":[", "\"members\":7,\"m\":[", "members must be");
    assert_edit_is_refused("\"fffffffffffffffe\"", "7", "members' version must be");
    assert_edit_is_refused("fffffffffffffffe", "fffffffffffffff", "must be 16 hexadecimal digits");
    assert_edit_is_refused("[12,2,0]", "[12,2]", "each change of members must be three numbers");
    assert_edit_is_refused("[12,2,0]", "[0,2,0]", "step of a change must be");
    assert_edit_is_refused("[12,2,0]", "[12,-1,0]", "worker of a change must be");
    assert_edit_is_refused("[12,2,0]", "[12,2,2]", "kind of a change must be");
    assert_edit_is_refused("[12,2,0]", "[12,3,0]", "change 0 of members is impossible");
    assert_edit_is_refused(",[12,2,0],[90,2,1]", "", "a list of 0 changes of members has version");
    assert_edit_is_refused("\"crc\":[", "\"crc\":[1,", "checksums for");
    assert_edit_is_refused("4294967295", "4294967296", "each of crc must be");
    assert_edit_is_refused("4294967295", "[]", "each of crc must be");
    assert_edit_is_refused("\"job\":\"", "\"job\":\"0", "job must be hexadecimal digits");
    assert_edit_is_refused("\"job\":\"", "\"job\":\"zz", "job must be hexadecimal digits");
    assert_edit_is_refused("\"job\":\"", "\"job\":\"AB", "job must be hexadecimal digits");
    assert_edit_is_refused("\"job\":\"", "\"job\":\"ff", "its job: ");
    assert_edit_is_refused("\"job\":\"", "\"job\":\"\",\"other\":\"", "its job: ");
    assert_edit_is_refused("\"job\":\"", "\"job\":1,\"other\":\"", "job must be");
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc(2 * DEPTH + 100);
    assert_non_null(text);
    strcpy(text, "{\"a\":");
    memset(text + 5, '[', DEPTH);
    memset(text + 5 + DEPTH, ']', DEPTH);
    text[5 + 2 * DEPTH] = '\0';
    assert_refused_in_spite_of_its_checksum(text, "");
    free(text);
}

static void manifest_that_nobody_could_read_is_not_printed(void **state)
{
    (void)state;
    manifest m;
    make(&m);
    free(m.crc);
    m.crc_count = MANIFEST_BYTES_MAX / 2;
    m.crc = calloc(m.crc_count, sizeof *m.crc);
    char *text;
    size_t bytes;
    ps_error error = {PS_OK, ""};
    assert_int_equal(manifest_print(&m, &text, &bytes, &error), PS_ELIMIT);
    assert_null(text);
    assert_non_null(strstr(error.text, "at most 16777216 are allowed"));
    manifest_fini(&m);
}

static void running_out_of_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    manifest m, made;
    make(&made);
    size_t bytes;
    char *text = NULL;
    ps_error error;
    ps_status status = PS_ENOMEM;
    long allocations = 0;
    for (; status != PS_OK; allocations++) {
        torture_begin(allocations);
        status = manifest_print(&made, &text, &bytes, &error);
        torture_end();
        assert_true(status == PS_OK || (status == PS_ENOMEM && error.status == PS_ENOMEM && !text));
    }
    assert_true(allocations > 1);
    status = PS_ENOMEM;
    for (allocations = 0; status != PS_OK; allocations++) {
        torture_begin(allocations);
        status = manifest_parse(text, bytes, &m, &error);
        torture_end();
        assert_true(status == PS_OK || (status == PS_ENOMEM && error.status == PS_ENOMEM && !m.crc));
    }
    assert_true(allocations > 5);
    manifest_fini(&m);
    manifest_fini(&made);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_read_again),
        cmocka_unit_test(manifest_of_the_first_format_is_still_read),
        cmocka_unit_test(members_of_later_versions_are_tolerated),
        cmocka_unit_test(manifest_cut_anywhere_is_refused),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(text_beyond_the_end_is_found),
        cmocka_unit_test(what_was_made_up_is_refused_in_spite_of_its_checksum),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(manifest_that_nobody_could_read_is_not_printed),
        cmocka_unit_test(running_out_of_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
