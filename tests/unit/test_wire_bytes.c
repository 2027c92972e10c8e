/* Bytes that common/wire is given: garbage, bombs, what other versions write, and what an older one has
 * written. */
#include "common/wire.h"

#include <stdlib.h>
#include <string.h>

#include "common/wire_job.h"
#include "tests/unit/torture.h"
#include "tests/unit/wire_sample.h"

/* ---- bytes that are no header ---- */

static void assert_bytes_refused(const void *bytes, size_t count, const char *why)
{
    ps_error error;
    wire_message *m;
    assert_int_equal(wire_decode(bytes, count, NULL, 0, &m, &error),
                     count > WIRE_HEADER_MAX ? PS_ELIMIT : PS_EPROTOCOL);
    assert_null(m);
    assert_string_equal(error.text, why);
}

static void empty_and_oversized_headers_are_refused_unread(void **state)
{
    (void)state;
    assert_bytes_refused("", 0, "a header of 0 bytes; 1 to 4194304 are allowed");
    assert_bytes_refused(NULL, WIRE_HEADER_MAX + 1, "a header of 4194305 bytes; 1 to 4194304 are allowed");
}

static void garbage_is_refused(void **state)
{
    (void)state;
    assert_bytes_refused("\xff\xff\xff\xff", 4, "4 bytes are not a message header");
    assert_bytes_refused("GET / HTTP/1.1\r\n\r\n", 18, "18 bytes are not a message header");
    char zeros[64] = "";
    assert_bytes_refused(zeros, sizeof zeros, "64 bytes are not a message header");
}

static void header_cut_anywhere_is_no_other_message(void **state)
{
    (void)state;
    wire_message *m = wire_sample_full(WIRE_HELLO, WIRE_WORKER);
    wire_sample_forget_later_fields(m); /* so that the job is the end, without which it is no HELLO */
    buffer *header;
    assert_int_equal(wire_encode(m, &header), PS_OK);
    for (size_t bytes = 1; bytes < buffer_size(header); bytes++) {
        uint8_t *cut = malloc(bytes); /* of exactly that size, for AddressSanitizer */
        assert_non_null(cut);
        memcpy(cut, buffer_bytes(header), bytes);
        wire_message *decoded;
        assert_int_not_equal(wire_decode(cut, bytes, NULL, 0, &decoded, NULL), PS_OK);
        free(cut);
    }
    buffer_unref(&header);
    wire_destroy(&m);
}

/* A length-delimited field: its tag, the length of what follows, and that. */
static size_t put_field(uint8_t *at, uint32_t number, const uint8_t *bytes, size_t count)
{
    size_t used = 0;
    for (uint64_t tag = number << 3 | 2;; tag >>= 7) {
        at[used++] = (uint8_t)(tag >= 128 ? tag | 128 : tag);
        if (tag < 128)
            break;
    }
    for (uint64_t length = count;; length >>= 7) {
        at[used++] = (uint8_t)(length >= 128 ? length | 128 : length);
        if (length < 128)
            break;
    }
    if (count)
        memcpy(at + used, bytes, count);
    return used + count;
}

/* The header of a HELLO with those bytes for a job. */
static size_t put_hello(uint8_t *header, const uint8_t *job, size_t job_bytes)
{
    static const uint8_t start[] = {1 << 3, WIRE_PROTOCOL, 2 << 3, WIRE_HELLO, 4 << 3, WIRE_WORKER};
    memcpy(header, start, sizeof start);
    return sizeof start + put_field(header + sizeof start, 20, job, job_bytes);
}

/* Headers as large as allowed, of things that unpack to much more than they are on the wire. */
static void memory_bombs_are_refused(void **state)
{
    (void)state;
    uint8_t *job = malloc(WIRE_HEADER_MAX), *header = malloc(WIRE_HEADER_MAX);
    assert_true(job && header);
    const size_t room = WIRE_HEADER_MAX - 64;
    static const uint32_t fields[] = {13, 1, 11, 12}; /* tensors; name, optimizer, schedule again and again */
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
        size_t used = 0;
        while (used < room)
            used += put_field(job + used, fields[f], NULL, 0);
        size_t bytes = put_hello(header, job, used);
        assert_true(bytes <= WIRE_HEADER_MAX);
        wire_message *m;
        assert_int_equal(wire_decode(header, bytes, NULL, 0, &m, NULL), PS_EPROTOCOL);
    }
    free(job);
    free(header);
}

static void unpacking_is_given_no_more_than_its_limit(void **state)
{
    (void)state;
    enum { TENSORS = 1 << 20 };
    size_t bytes = 2 * TENSORS;
    uint8_t *header = malloc(bytes + 32), *job = malloc(bytes);
    assert_true(header && job);
    size_t used = 0;
    for (int i = 0; i < TENSORS; i++)
        used += put_field(job + used, 13, NULL, 0);
    size_t total = put_hello(header, job, used);
    torture_begin(WIRE_UNPACKED_MAX / (1 << 18) + 64); /* chunks of the arena, and some to spare */
    wire_message *m;
    ps_error error;
    ps_status status = wire_decode(header, total, NULL, 0, &m, &error);
    torture_end();
    assert_int_equal(status, PS_EPROTOCOL);
    assert_string_equal(error.text, "HELLO: 2097152 bytes are not a job");
    free(header);
    free(job);
}

/* ---- compatibility ---- */

static void fields_of_a_later_version_are_ignored(void **state)
{
    (void)state;
    wire_message *m = wire_sample_full(WIRE_PULL, WIRE_WORKER);
    buffer *header;
    assert_int_equal(wire_encode(m, &header), PS_OK);
    size_t bytes = buffer_size(header);
    uint8_t *longer = malloc(bytes + 64);
    assert_non_null(longer);
    memcpy(longer, buffer_bytes(header), bytes);
    bytes += put_field(longer + bytes, 1000, (const uint8_t *)"from the future", 15);
    longer[bytes++] = 0xb8; /* field 55, a number */
    longer[bytes++] = 0x03;
    longer[bytes++] = 0x2a;
    wire_message *decoded;
    assert_int_equal(wire_decode(longer, bytes, NULL, 0, &decoded, NULL), PS_OK);
    wire_sample_assert_same(m, decoded);
    wire_destroy(&decoded);
    wire_destroy(&m);
    buffer_unref(&header);
    free(longer);
}

static size_t from_hex(const char *hex, uint8_t *bytes)
{
    size_t count = strlen(hex) / 2;
    for (size_t i = 0; i < count; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return count;
}

/* As version 0.1.0 wrote them. Whatever changes, peers of that protocol must be understood. */
static const char stored_hello[] =
    "0802100119efcdab8967452301200128ff0731feffffffffffffff38ffffffffffffffffff0140808080801048ffffff"
    "ff0f550000403f58016001784d8001faffffffffffffffff018801019001179a0110776f726b65722031206973206c61"
    "7465a2019b010a0870656e73746f636b100318055080205a3f11cdccccccccccec3f19cdccccccccccec3f212b8716d9"
    "cef7ef3f29cdccccccccccec3f313a8c30e28e79453e399a9999999999b93f51000000000000e0bf621b110000000000"
    "00f03f299a9999999999b93f39000000000000f03f6a090a0177120288271a006a1f0a04626961731201071a14080311"
    "000000000000e0bf190000000000000040";
static const char stored_push_pull[] =
    "0802100219efcdab89674523012001280231feffffffffffffff38ffffffffffffffffff0140808080801048ffffffff"
    "0f550000003f580160016a03010b15720304080c784d8001faffffffffffffffff018801019001179a0110776f726b65"
    "722031206973206c617465";

static wire_message *stored_message(wire_type type)
{
    wire_message *m = wire_sample_full(type, WIRE_WORKER);
    wire_sample_forget_later_fields(m);
    if (type == WIRE_PUSH_PULL) {
        m->clip_factor = 0.5f;
        m->index = 2;
    }
    return m;
}

static void assert_stored_decodes(const char *hex, wire_type type)
{
    uint8_t bytes[1024];
    size_t count = from_hex(hex, bytes);
    wire_message *expected = stored_message(type), *m;
    size_t frames[] = {4, 8, 12};
    ps_error error;
    if (wire_decode(bytes, count, frames, type == WIRE_HELLO ? 0 : 3, &m, &error) != PS_OK)
        fail_msg("%s", error.text);
    wire_sample_assert_same(m, expected);
    wire_destroy(&m);
    wire_destroy(&expected);
}

static void stored_messages_still_mean_the_same(void **state)
{
    (void)state;
    assert_stored_decodes(stored_hello, WIRE_HELLO);
    assert_stored_decodes(stored_push_pull, WIRE_PUSH_PULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_and_oversized_headers_are_refused_unread),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(header_cut_anywhere_is_no_other_message),
        cmocka_unit_test(memory_bombs_are_refused),
        cmocka_unit_test(unpacking_is_given_no_more_than_its_limit),
        cmocka_unit_test(fields_of_a_later_version_are_ignored),
        cmocka_unit_test(stored_messages_still_mean_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
