/* common/wire_header against protobuf-c: the same bytes, and the same judgement of bytes. */
#include "common/wire_header.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "tests/unit/job_sample.h"
#include "tests/unit/wire_reference.h"

enum { MESSAGES = 4000, STREAMS = 40000, MUTATIONS = 40000, HEADER_BYTES_MAX = 1 << 16 };

/* ---- random messages ---- */

typedef struct {
    uint64_t key, position;
} dice;

static uint64_t roll(dice *d)
{
    return random_at(d->key, d->position++);
}

static uint32_t roll_below(dice *d, uint32_t limit)
{
    return (uint32_t)(roll(d) % limit);
}

/* Of any width: a varint of each length comes as often as another. Often 0. */
static uint64_t roll_number(dice *d)
{
    const uint32_t bits = roll_below(d, 80);
    return bits < 64 ? roll(d) >> bits : 0;
}

static float roll_float(dice *d)
{
    const uint32_t bits = (uint32_t)roll_number(d);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void roll_lists(dice *d, wire_message *m)
{
    static uint8_t small[100];
    const uint32_t sizes = roll_below(d, 2) ? sizeof small : 0; /* 0: any, with nothing behind them */
    for (size_t i = 0; i < sizeof small; i++)
        small[i] = (uint8_t)roll(d);
    m->has_payload = m->slice_count > 0 && roll_below(d, 2);
    m->segment_count = roll_below(d, 3) ? 0 : roll_below(d, WIRE_SEGMENTS_MAX + 1);
    for (uint32_t i = 0; i < m->segment_count; i++)
        m->segments[i] = (segment_name){.pid = (uint32_t)roll_number(d),
                                        .fd = (uint32_t)roll_number(d),
                                        .bytes = roll_number(d),
                                        .token = {roll_number(d), roll_number(d)}};
    for (uint32_t i = 0; i < m->slice_count; i++) {
        m->slices[i] = (uint32_t)roll_number(d);
        m->places[i] = (wire_place){.segment = (uint32_t)roll_number(d), .offset = roll_number(d)};
        if (m->has_payload) {
            m->payloads[i] =
                buffer_wrap(small, sizes ? 1 + roll_below(d, sizes) : (uint32_t)roll_number(d), NULL, NULL);
            assert_non_null(m->payloads[i]);
        }
    }
    if (sizes)
        wire_inline_small(m);
}

static void roll_members(dice *d, wire_message *m)
{
    m->members = calloc(1, sizeof *m->members);
    assert_non_null(m->members);
    for (uint32_t left = roll_below(d, 20); left > 0; left--) {
        const members_change change = {
            .from = roll_number(d), .worker = (uint32_t)roll_number(d) >> 1, .enters = roll_below(d, 2)};
        assert_int_equal(members_add(m->members, &change, NULL), PS_OK);
    }
}

static void roll_job(dice *d, wire_message *m)
{
    m->hello = malloc(sizeof *m->hello);
    assert_non_null(m->hello);
    job_sample(m->hello, 1 + roll_below(d, 9), 1 + roll_below(d, 9), 1 + roll_below(d, 9000));
    m->hello->seed = roll_number(d);
}

/* Any fields, whether or not they make sense together. */
static wire_message *roll_message(dice *d)
{
    static const int types = WIRE_ERROR + 1;
    const uint32_t slices = roll_below(d, 3) ? roll_below(d, 40) : roll_below(d, 2);
    wire_message *m = wire_create((wire_type)roll_below(d, (uint32_t)types), slices);
    assert_non_null(m);
    m->job = roll_number(d);
    m->role = (wire_role)roll_below(d, 4);
    m->index = (uint32_t)roll_number(d);
    m->incarnation = roll_number(d);
    m->request = roll_number(d);
    m->step = roll_number(d);
    m->examples = (uint32_t)roll_number(d);
    m->clip_factor = roll_float(d);
    m->nonfinite = roll_below(d, 2);
    m->after_finish = roll_below(d, 2);
    m->receiver = (uint32_t)roll_number(d);
    m->examples_total = roll_number(d);
    m->job_finished = roll_below(d, 2);
    m->status = (ps_status) - (int)roll_below(d, 20);
    m->settled = roll_number(d);
    m->reads_memory = roll_below(d, 2);
    if (roll_below(d, 4) == 0) {
        char text[WIRE_TEXT_MAX + 1] = "";
        memset(text, 'a' + (int)roll_below(d, 26), roll_below(d, WIRE_TEXT_MAX + 1));
        wire_set_text(m, text);
    }
    m->epoch = roll_number(d);
    m->oldest = roll_number(d);
    m->exact = roll_below(d, 2);
    m->unfit = roll_below(d, 2);
    m->heartbeat_ms = (uint32_t)roll_number(d);
    m->held = roll_number(d);
    m->members_version = roll_number(d);
    m->lost_worker = (uint32_t)roll_number(d);
    m->end_step = roll_number(d);
    if (roll_below(d, 4) == 0) {
        worker_figures figures = {.step = roll_number(d), .loss_sum = (double)roll_float(d), .host = "here"};
        wire_set_figures(m, &figures);
    }
    if (roll_below(d, 4) == 0)
        roll_members(d, m);
    if (roll_below(d, 8) == 0)
        roll_job(d, m);
    roll_lists(d, m);
    return m;
}

static void codec_knows_each_field_of_the_schema(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *header = &penstock__header__descriptor;
    const ProtobufCMessageDescriptor *nested = &penstock__segment__descriptor;
    assert_int_equal(header->n_fields, HEADER_FIELDS);
    assert_int_equal(header->fields[HEADER_FIELDS - 1].id, HEADER_FIELDS);
    assert_int_equal(nested->n_fields, SEGMENT_FIELDS);
    assert_int_equal(nested->fields[SEGMENT_FIELDS - 1].id, SEGMENT_FIELDS);
}

static void our_bytes_are_those_of_protobuf_c(void **state)
{
    (void)state;
    dice d = {.key = random_key(1, "messages", 0)};
    for (int i = 0; i < MESSAGES; i++) {
        wire_message *m = roll_message(&d);
        const char *why = wire_reference_judge_writing(m);
        if (why)
            fail_msg("message %d: %s", i, why);
        wire_destroy(&m);
    }
}

static void messages_at_the_limits_are_written_as_protobuf_c_does(void **state)
{
    (void)state;
    wire_message *m = wire_create(WIRE_WEIGHTS, WIRE_SLICES_MAX);
    assert_non_null(m);
    m->clip_factor = -0.0f; /* zero, and so left out */
    m->status = (ps_status)INT32_MIN;
    m->has_payload = true;
    m->segment_count = WIRE_SEGMENTS_MAX;
    memset(m->segments, 0xff, sizeof m->segments);
    for (uint32_t i = 0; i < WIRE_SLICES_MAX; i++) {
        m->slices[i] = UINT32_MAX - i;
        m->places[i] = (wire_place){.segment = i, .offset = UINT64_MAX - i};
        m->payloads[i] = buffer_wrap(NULL, WIRE_FRAME_MAX, NULL, NULL);
        assert_non_null(m->payloads[i]);
    }
    assert_null(wire_reference_judge_writing(m));
    wire_destroy(&m);
}

/* ---- bytes ---- */

typedef struct {
    size_t count;
    uint8_t bytes[HEADER_BYTES_MAX];
} byte_string;

static void put_byte(byte_string *s, uint64_t byte)
{
    assert_true(s->count < HEADER_BYTES_MAX);
    s->bytes[s->count++] = (uint8_t)byte;
}

/* In `padding` bytes more than needed. */
static void put_padded(byte_string *s, uint64_t value, uint32_t padding)
{
    for (; value >= 0x80; value >>= 7)
        put_byte(s, value | 0x80);
    put_byte(s, padding ? value | 0x80 : value);
    for (; padding > 0; padding--)
        put_byte(s, padding > 1 ? 0x80 : 0);
}

static void put_varint(byte_string *s, uint64_t value)
{
    put_padded(s, value, 0);
}

/* Mostly of a known number and a layout that suits it; nested once for lists and segments. */
static void put_random_field(byte_string *s, dice *d, int depth)
{
    static const uint8_t kinds[] = {WIRE_VARINT, WIRE_FIXED64, WIRE_LENGTH, WIRE_FIXED32,
                                    WIRE_VARINT, WIRE_FIXED64, WIRE_LENGTH, 3};
    const ProtobufCMessageDescriptor *schema =
        depth ? &penstock__segment__descriptor : &penstock__header__descriptor;
    uint64_t number = roll_below(d, 16) ? 1 + roll_below(d, schema->n_fields) : roll_number(d) >> 32;
    uint32_t kind = kinds[roll_below(d, 8)];
    if (number >= 1 && number <= schema->n_fields && roll_below(d, 8)) {
        const ProtobufCType type = schema->fields[number - 1].type;
        const bool list = schema->fields[number - 1].label == PROTOBUF_C_LABEL_REPEATED;
        kind = type == PROTOBUF_C_TYPE_FIXED64                                     ? WIRE_FIXED64
               : type == PROTOBUF_C_TYPE_FLOAT                                     ? WIRE_FIXED32
               : type == PROTOBUF_C_TYPE_STRING || type == PROTOBUF_C_TYPE_MESSAGE ? WIRE_LENGTH
               : list && roll_below(d, 2)                                          ? WIRE_LENGTH
                                                                                   : WIRE_VARINT;
    }
    put_padded(s, number << WIRE_KIND_BITS | kind, roll_below(d, 64) ? 0 : roll_below(d, 4));
    if (kind == WIRE_VARINT) {
        put_padded(s, roll_number(d), roll_below(d, 16) ? 0 : roll_below(d, 4));
    } else if (kind == WIRE_LENGTH) {
        static byte_string parts[2];
        byte_string *part = &parts[depth];
        part->count = 0;
        const uint32_t entries = roll_below(d, 5);
        for (uint32_t i = 0; i < entries; i++)
            if (number == HEADER_SEGMENT && depth == 0)
                put_random_field(part, d, 1);
            else if (number == HEADER_TEXT)
                put_byte(part, roll_below(d, 40) ? 'x' : roll_below(d, 256));
            else
                put_varint(part, roll_number(d));
        const uint32_t lie = roll_below(d, 64) ? 0 : roll_below(d, 3);
        put_padded(s, part->count + lie, roll_below(d, 64) ? 0 : roll_below(d, 4));
        for (size_t i = 0; i < part->count; i++)
            put_byte(s, part->bytes[i]);
    } else if (kind == WIRE_FIXED64 || kind == WIRE_FIXED32) {
        for (int i = 0; i < (kind == WIRE_FIXED64 ? 8 : 4); i++)
            put_byte(s, roll_below(d, 256));
    }
}

/* In memory of just that size, so that AddressSanitizer sees a read beyond it. */
static bool assert_agreed(const byte_string *s)
{
    uint8_t *exact = malloc(s->count ? s->count : 1);
    assert_non_null(exact);
    memcpy(exact, s->bytes, s->count);
    const char *why = wire_reference_judge_reading(exact, s->count);
    if (why) {
        for (size_t i = 0; i < s->count; i++)
            print_error("%02x", exact[i]);
        fail_msg(": %s", why);
    }
    static wire_header h;
    const bool taken = wire_header_read(exact, s->count, &h);
    free(exact);
    return taken;
}

static void random_fields_are_judged_as_by_protobuf_c(void **state)
{
    (void)state;
    dice d = {.key = random_key(1, "fields", 0)};
    static byte_string s;
    int taken = 0;
    for (int i = 0; i < STREAMS; i++) {
        s.count = 0;
        for (uint32_t fields = roll_below(&d, 12); fields > 0; fields--)
            put_random_field(&s, &d, 0);
        taken += assert_agreed(&s);
    }
    assert_in_range(taken, STREAMS / 8, STREAMS - STREAMS / 8); /* else the dice prove little */
}

static void put_message(byte_string *s, dice *d)
{
    wire_message *m = roll_message(d);
    size_t bytes;
    uint8_t *packed = wire_reference_pack(m, &bytes);
    assert_non_null(packed);
    for (size_t i = 0; i < bytes; i++)
        put_byte(s, packed[i]);
    free(packed);
    wire_destroy(&m);
}

/* Spoils a byte, takes some out, repeats some or cuts the rest off. */
static void mutate(byte_string *s, dice *d)
{
    if (s->count == 0)
        return;
    const size_t at = roll(d) % s->count;
    const size_t some = roll(d) % (s->count - at < 8 ? s->count - at + 1 : 9);
    switch (roll_below(d, 5)) {
    case 0:
        s->bytes[at] = (uint8_t)roll(d);
        break;
    case 1:
        s->bytes[at] ^= (uint8_t)(1u << roll_below(d, 8));
        break;
    case 2:
        memmove(s->bytes + at, s->bytes + at + some, s->count - at - some);
        s->count -= some;
        break;
    case 3:
        memmove(s->bytes + at + some, s->bytes + at, s->count - at);
        s->count += some;
        break;
    default:
        s->count = at;
    }
}

static void mutated_headers_are_judged_as_by_protobuf_c(void **state)
{
    (void)state;
    dice d = {.key = random_key(1, "mutations", 0)};
    static byte_string s;
    int taken = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        s.count = 0;
        put_message(&s, &d);
        if (roll_below(&d, 4) == 0)
            put_message(&s, &d); /* the last of each scalar wins, lists grow */
        for (uint32_t times = roll_below(&d, 4); times > 0; times--)
            mutate(&s, &d);
        taken += assert_agreed(&s);
    }
    assert_in_range(taken, MUTATIONS / 8, MUTATIONS - MUTATIONS / 8);
}

/* ---- what proto3 demands ---- */

static bool read_literal(const char *bytes, size_t count, wire_header *h)
{
    assert_null(wire_reference_judge_reading((const uint8_t *)bytes, count));
    return wire_header_read((const uint8_t *)bytes, count, h);
}
#define READ(literal, h) read_literal(literal, sizeof literal - 1, h)

static void lists_may_be_unpacked_or_in_pieces(void **state)
{
    (void)state;
    static wire_header h;
    assert_true(READ("\x6a\x02\x01\x02\x68\x03\x6a\x00\x6a\x01\x04", &h)); /* field 13 */
    assert_int_equal(h.slice_count, 4);
    assert_memory_equal(h.slices, ((uint32_t[]){1, 2, 3, 4}), 4 * sizeof(uint32_t));
    assert_true(READ("\xc8\x01\x05\xca\x01\x03\x06\x80\x01", &h)); /* field 25 */
    assert_int_equal(h.offset_count, 3);
    assert_memory_equal(h.offsets, ((uint64_t[]){5, 6, 128}), 3 * sizeof(uint64_t));
}

static void last_of_a_scalar_wins(void **state)
{
    (void)state;
    static wire_header h;
    assert_true(READ("\x28\x01\x9a\x01\x01"
                     "a\x28\x07\x9a\x01\x02"
                     "bc",
                     &h));
    assert_int_equal(h.message.index, 7);
    assert_int_equal(h.text_bytes, 2);
    assert_memory_equal(h.text, "bc", 2);
    assert_true(READ("\x28\x07\x28\x00", &h));
    assert_int_equal(h.message.index, 0);
}

static void varints_may_be_longer_than_needed_and_are_cut_to_their_type(void **state)
{
    (void)state;
    static wire_header h;
    assert_true(READ("\x28\x87\x80\x80\x80\x80\x80\x80\x80\x80\x00", &h));
    assert_int_equal(h.message.index, 7);
    assert_true(READ("\x28\x87\x80\x80\x80\x10", &h)); /* 2^32 + 7 */
    assert_int_equal(h.message.index, 7);
    assert_true(READ("\x58\x80\x80\x80\x80\x10", &h)); /* a bool of 2^32 */
    assert_true(h.message.nonfinite);
    assert_true(READ("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &h));
    assert_int_equal((int)h.message.type, -1);
    assert_true(READ("\xa8\x80\x00\x07", &h)); /* the tag */
    assert_int_equal(h.message.index, 7);
}

static void lists_beyond_their_limit_are_counted_but_not_kept(void **state)
{
    (void)state;
    static byte_string s;
    static wire_header h;
    static const uint32_t lists[] = {HEADER_SLICE, HEADER_SLICE_BYTES, HEADER_SLICE_SEGMENT,
                                     HEADER_SLICE_OFFSET};
    s.count = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        put_varint(&s, WIRE_TAG(lists[i], WIRE_LENGTH));
        put_varint(&s, WIRE_SLICES_MAX + 5);
        for (int k = 0; k < WIRE_SLICES_MAX + 5; k++)
            put_byte(&s, 0x33);
        put_varint(&s, WIRE_TAG(lists[i], WIRE_VARINT));
        put_varint(&s, 9);
    }
    for (int i = 0; i < 2 * WIRE_SEGMENTS_MAX; i++) {
        put_varint(&s, WIRE_TAG(HEADER_SEGMENT, WIRE_LENGTH));
        put_varint(&s, 0);
    }
    assert_true(assert_agreed(&s));
    assert_true(wire_header_read(s.bytes, s.count, &h));
    assert_int_equal(h.slice_count, WIRE_SLICES_MAX + 6);
    assert_int_equal(h.length_count, WIRE_SLICES_MAX + 6);
    assert_int_equal(h.place_count, WIRE_SLICES_MAX + 6);
    assert_int_equal(h.offset_count, WIRE_SLICES_MAX + 6);
    assert_int_equal(h.message.segment_count, 2 * WIRE_SEGMENTS_MAX);
}

static void known_fields_laid_out_otherwise_are_refused(void **state)
{
    (void)state;
    static wire_header h;
    assert_false(READ("\x0a\x01\x01", &h));         /* protocol with a length */
    assert_false(READ("\x1d\x01\x01\x01\x01", &h)); /* job of 4 bytes */
    assert_false(READ("\x98\x01\x01", &h));         /* text as a number */
    assert_false(READ("\x6d\x01\x01\x01\x01", &h)); /* a slice of 4 bytes */
    assert_false(READ("\xba\x01\x02\x0a\x00", &h)); /* pid with a length */
    assert_false(READ("\x0b\x0c", &h));             /* a group */
    assert_false(READ("\xf3\x01\xf4\x01", &h));     /* one of an unknown number */
}

/* ---- where we are stricter than protobuf-c ---- */

static void what_no_writer_writes_is_refused(void **state)
{
    (void)state;
    static wire_header h;
    static const struct {
        size_t count;
        const char *bytes;
    } spoilt[] = {
        {3, "\x80\x00\x01"},                                      /* field 0 */
        {6, "\x80\x80\x80\x80\x10\x01"},                          /* field 2^29 */
        {11, "\x28\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"},     /* 65 bits */
        {12, "\x6a\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"}, /* the same in a list */
        {3, "\x5a\x01\x01"},                                      /* a bool with a length */
        {5, "\x9a\x01\x02\x00z"},                                 /* NUL in a text */
        {6, "\xa2\x01\x00\xa2\x01\x00"},                          /* two jobs */
    };
    for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        const uint8_t *bytes = (const uint8_t *)spoilt[i].bytes;
        assert_false(wire_header_read(bytes, spoilt[i].count, &h));
        assert_true(wire_reference_is_loose(bytes, spoilt[i].count, false));
        Penstock__Header *p = penstock__header__unpack(NULL, spoilt[i].count, bytes);
        assert_non_null(p); /* else it belongs above */
        penstock__header__free_unpacked(p, NULL);
    }
    assert_true(READ("\xa2\x01\x00", &h));
    assert_non_null(h.hello);
    assert_true(READ("\x9a\x01\x01\xff", &h)); /* no UTF-8, but for people only */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codec_knows_each_field_of_the_schema),
        cmocka_unit_test(our_bytes_are_those_of_protobuf_c),
        cmocka_unit_test(messages_at_the_limits_are_written_as_protobuf_c_does),
        cmocka_unit_test(random_fields_are_judged_as_by_protobuf_c),
        cmocka_unit_test(mutated_headers_are_judged_as_by_protobuf_c),
        cmocka_unit_test(lists_may_be_unpacked_or_in_pieces),
        cmocka_unit_test(last_of_a_scalar_wins),
        cmocka_unit_test(varints_may_be_longer_than_needed_and_are_cut_to_their_type),
        cmocka_unit_test(lists_beyond_their_limit_are_counted_but_not_kept),
        cmocka_unit_test(known_fields_laid_out_otherwise_are_refused),
        cmocka_unit_test(what_no_writer_writes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
