/* Headers that say what must not be: which message of common/wire is refused, and why. */
#include "common/wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire_job.h"
#include "tests/unit/wire_sample.h"

/* ---- what is refused ---- */

/* A header to be spoilt: a PUSH of two slices of 8 bytes. */
static Penstock__Header push_header(void)
{
    static uint32_t slices[2], bytes[2];
    memcpy(slices, (uint32_t[]){3, 4}, sizeof slices);
    memcpy(bytes, (uint32_t[]){8, 8}, sizeof bytes);
    Penstock__Header h;
    penstock__header__init(&h);
    h.protocol = WIRE_PROTOCOL;
    h.type = PENSTOCK__MESSAGE_TYPE__PUSH;
    h.role = PENSTOCK__ROLE__WORKER;
    h.step = 1;
    h.examples = 10;
    h.clip_factor = 1;
    h.n_slice = 2;
    h.slice = slices;
    h.n_slice_bytes = 2;
    h.slice_bytes = bytes;
    return h;
}

static Penstock__Header plain_header(Penstock__MessageType type)
{
    Penstock__Header h;
    penstock__header__init(&h);
    h.protocol = WIRE_PROTOCOL;
    h.type = type;
    h.role = type < PENSTOCK__MESSAGE_TYPE__WELCOME ? PENSTOCK__ROLE__WORKER : PENSTOCK__ROLE__PS;
    return h;
}

static ps_status decode_header(const Penstock__Header *h, const size_t *frame_bytes, uint32_t frames,
                               ps_error *error)
{
    size_t bytes = penstock__header__get_packed_size(h);
    uint8_t *packed = malloc(bytes + 1);
    assert_non_null(packed);
    penstock__header__pack(h, packed);
    wire_message *m = NULL;
    ps_status status = wire_decode(packed, bytes, frame_bytes, frames, &m, error);
    assert_int_equal(status == PS_OK, m != NULL);
    wire_destroy(&m);
    free(packed);
    return status;
}

static void assert_refused(const Penstock__Header *h, uint32_t frames, const char *why)
{
    static const size_t frame_bytes[4] = {8, 8, 8, 8};
    ps_error error = {PS_OK, ""};
    assert_int_equal(decode_header(h, frame_bytes, frames, &error), PS_EPROTOCOL);
    assert_string_equal(error.text, why);
    assert_int_equal(decode_header(h, frame_bytes, frames, NULL), PS_EPROTOCOL);
}

static void sound_push_is_the_basis_of_the_refusals(void **state)
{
    (void)state;
    Penstock__Header h = push_header();
    assert_int_equal(decode_header(&h, (size_t[]){8, 8}, 2, NULL), PS_OK);
}

static void foreign_protocol_versions_are_refused(void **state)
{
    (void)state;
    Penstock__Header h = push_header();
    h.protocol = 0;
    assert_refused(&h, 2, "peer speaks protocol 0; this is protocol 2");
    h.protocol = 3;
    assert_refused(&h, 2, "peer speaks protocol 3; this is protocol 2");
}

static void members_are_told_whole_and_where_they_belong(void **state)
{
    (void)state;
    Penstock__Header h = push_header();
    uint64_t steps[] = {5, 9};
    uint32_t workers[] = {2, 3};
    h.change_step = steps;
    h.change_worker = workers;
    h.n_change_step = h.n_change_worker = 2;
    assert_refused(&h, 2, "PUSH must not tell of members");
    h.n_change_worker = 1;
    assert_refused(&h, 2, "PUSH: 2 steps and 1 workers of changes of members; at most 4096");
}

static void unknown_types_and_roles_are_refused(void **state)
{
    (void)state;
    Penstock__Header h = push_header();
    h.type = PENSTOCK__MESSAGE_TYPE__MESSAGE_NONE;
    assert_refused(&h, 2, "message type 0 is unknown");
    h.type = (Penstock__MessageType)14;
    assert_refused(&h, 2, "message type 14 is unknown");
    h.type = (Penstock__MessageType)-1;
    assert_refused(&h, 2, "message type -1 is unknown");
    h = push_header();
    h.role = (Penstock__Role)4;
    assert_refused(&h, 2, "PUSH: role 4 is unknown");
}

static void messages_come_from_the_side_they_belong_to(void **state)
{
    (void)state;
    Penstock__Header h = push_header();
    h.role = PENSTOCK__ROLE__PS;
    assert_refused(&h, 2, "PUSH cannot come from ps 0");
    for (int i = 0; i < ANSWERS; i++) {
        char why[64];
        h = plain_header((Penstock__MessageType)answers[i]);
        h.role = PENSTOCK__ROLE__EVALUATOR;
        snprintf(why, sizeof why, "%s cannot come from evaluator 0", wire_type_name(answers[i]));
        assert_refused(&h, 0, why);
    }
}

static void only_administrators_administer_and_do_nothing_else(void **state)
{
    (void)state;
    char why[64];
    Penstock__Header h = push_header();
    h.role = PENSTOCK__ROLE__ADMINISTRATOR;
    assert_refused(&h, 2, "PUSH cannot come from administrator 0");
    for (int i = 0; i < REQUESTS; i++) {
        h = plain_header((Penstock__MessageType)requests[i]);
        h.role = PENSTOCK__ROLE__ADMINISTRATOR;
        snprintf(why, sizeof why, "%s cannot come from administrator 0", wire_type_name(requests[i]));
        assert_refused(&h, 0, why);
    }
    for (int i = 0; i < ORDERS; i++) {
        for (int role = WIRE_PS; role < WIRE_ADMINISTRATOR; role++) {
            h = plain_header((Penstock__MessageType)orders[i]);
            h.role = (Penstock__Role)role;
            snprintf(why, sizeof why, "%s cannot come from %s 0", wire_type_name(orders[i]),
                     wire_role_name((wire_role)role));
            assert_refused(&h, 0, why);
        }
    }
}

static void sender_index_has_a_bound(void **state)
{
    (void)state;
    Penstock__Header h = push_header();
    h.index = JOB_WORKERS_MAX;
    assert_refused(&h, 2, "PUSH: sender index 1024 is out of range");
    h.index = UINT32_MAX;
    assert_refused(&h, 2, "PUSH: sender index 4294967295 is out of range");
}

static void job_belongs_in_hello_and_nowhere_else(void **state)
{
    (void)state;
    Penstock__Job job;
    penstock__job__init(&job);
    Penstock__Header h = push_header();
    h.hello = &job;
    assert_refused(&h, 2, "PUSH must not carry a job");
    h = plain_header(PENSTOCK__MESSAGE_TYPE__HELLO);
    assert_refused(&h, 0, "HELLO must carry a job");
}

static void pushes_have_a_step_and_a_clip_factor(void **state)
{
    (void)state;
    Penstock__Header h = push_header();
    h.step = 0;
    assert_refused(&h, 2, "PUSH: steps count from 1");
    static const struct {
        float factor;
        const char *why;
    } spoilt[] = {
        {0, "PUSH_PULL: clip factor 0 is not in (0, 1]"},
        {-1, "PUSH_PULL: clip factor -1 is not in (0, 1]"},
        {1.5f, "PUSH_PULL: clip factor 1.5 is not in (0, 1]"},
        {NAN, "PUSH_PULL: clip factor nan is not in (0, 1]"},
        {INFINITY, "PUSH_PULL: clip factor inf is not in (0, 1]"},
    };
    h = push_header();
    h.type = PENSTOCK__MESSAGE_TYPE__PUSH_PULL;
    for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        h.clip_factor = spoilt[i].factor;
        assert_refused(&h, 2, spoilt[i].why);
    }
    h.clip_factor = 0x1p-149f;
    assert_int_equal(decode_header(&h, (size_t[]){8, 8}, 2, NULL), PS_OK);
}

static void text_beyond_its_limit_is_refused(void **state)
{
    (void)state;
    char text[WIRE_TEXT_MAX + 2];
    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    Penstock__Header h = plain_header(PENSTOCK__MESSAGE_TYPE__ERROR);
    h.text = text;
    assert_refused(&h, 0, "ERROR: a text of more than 511 bytes");
    h.text = text + 1;
    assert_int_equal(decode_header(&h, NULL, 0, NULL), PS_OK);
}

static void slice_numbers_must_rise(void **state)
{
    (void)state;
    Penstock__Header h = push_header();
    h.slice[1] = 3;
    assert_refused(&h, 2, "PUSH: slice 3 follows slice 3; numbers must rise");
    h.slice[1] = 0;
    assert_refused(&h, 2, "PUSH: slice 0 follows slice 3; numbers must rise");
}

static void more_slices_than_the_limit_are_refused(void **state)
{
    (void)state;
    static uint32_t slices[WIRE_SLICES_MAX + 1];
    for (uint32_t i = 0; i <= WIRE_SLICES_MAX; i++)
        slices[i] = i;
    Penstock__Header h = plain_header(PENSTOCK__MESSAGE_TYPE__PULL);
    h.slice = slices;
    h.n_slice = WIRE_SLICES_MAX + 1;
    assert_refused(&h, 0, "PULL names 4097 slices; at most 4096 are allowed");
}

static void only_pushes_pulls_and_weights_name_slices(void **state)
{
    (void)state;
    static const wire_type without[] = {WIRE_FINISH,  WIRE_QUERY,  WIRE_WELCOME, WIRE_ACK,
                                        WIRE_PENDING, WIRE_RESEND, WIRE_ERROR};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        char why[64];
        uint32_t slice = 1;
        Penstock__Header h = plain_header((Penstock__MessageType)without[i]);
        h.slice = &slice;
        h.n_slice = 1;
        snprintf(why, sizeof why, "%s names slices, which it must not", wire_type_name(without[i]));
        assert_refused(&h, 0, why);
    }
}

static void frames_must_be_as_many_as_the_slices(void **state)
{
    (void)state;
    Penstock__Header h = push_header();
    assert_refused(&h, 1, "PUSH of 2 slices and 10 examples has 1 frames, not 2");
    assert_refused(&h, 3, "PUSH of 2 slices and 10 examples has 3 frames, not 2");
    h.n_slice_bytes = 1;
    assert_refused(&h, 2, "PUSH of 2 slices and 10 examples has 1 payload lengths, not 2");
    h = push_header();
    h.examples = 0;
    assert_refused(&h, 2, "PUSH of 2 slices and 0 examples has 2 payload lengths, not 0");
    h = push_header();
    h.type = PENSTOCK__MESSAGE_TYPE__PULL;
    assert_refused(&h, 2, "PULL of 2 slices and 10 examples has 2 payload lengths, not 0");
    h = plain_header(PENSTOCK__MESSAGE_TYPE__ACK);
    assert_refused(&h, 1, "ACK of 0 slices and 0 examples has 1 frames, not 0");
}

static void frames_must_be_as_long_as_the_header_says(void **state)
{
    (void)state;
    Penstock__Header h = push_header();
    h.slice_bytes[1] = 12;
    assert_refused(&h, 2, "PUSH: the frame of slice 4 has 8 bytes, its header says 12");
}

static void payloads_must_have_a_possible_size(void **state)
{
    (void)state;
    static const struct {
        size_t bytes;
        const char *why;
    } spoilt[] = {
        {0, "PUSH: a payload of 0 bytes; it has 1 to 67108864"},
        {WIRE_FRAME_MAX + 1, "PUSH: a payload of 67108865 bytes; it has 1 to 67108864"},
    };
    for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        Penstock__Header h = push_header();
        h.slice_bytes[1] = (uint32_t)spoilt[i].bytes;
        ps_error error;
        assert_int_equal(decode_header(&h, (size_t[]){8, spoilt[i].bytes}, 2, &error), PS_EPROTOCOL);
        assert_string_equal(error.text, spoilt[i].why);
    }
}

static void every_type_and_role_of_the_schema_is_known(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *types = &penstock__message_type__descriptor;
    const ProtobufCEnumDescriptor *roles = &penstock__role__descriptor;
    for (unsigned i = 0; i < types->n_values; i++) {
        const int type = types->values[i].value;
        if (type == PENSTOCK__MESSAGE_TYPE__MESSAGE_NONE)
            continue;
        for (unsigned k = 0; k < roles->n_values; k++) {
            Penstock__Header h = plain_header((Penstock__MessageType)type);
            h.role = (Penstock__Role)roles->values[k].value;
            ps_error error = {PS_OK, ""};
            decode_header(&h, NULL, 0, &error);
            assert_null(strstr(error.text, "is unknown"));
        }
    }
}

/* ---- jobs in HELLO ---- */

static void assert_job_refused(const Penstock__Job *job, ps_status status, const char *why)
{
    Penstock__Header h = plain_header(PENSTOCK__MESSAGE_TYPE__HELLO);
    h.hello = (Penstock__Job *)(uintptr_t)job;
    ps_error error = {PS_OK, ""};
    assert_int_equal(decode_header(&h, NULL, 0, &error), status);
    assert_string_equal(error.text, why);
}

static void payloads_within_the_header_must_be_as_long_as_it_says(void **state)
{
    (void)state;
    uint8_t bytes[WIRE_INLINED_MAX + 4] = {0};
    Penstock__Header h = push_header();
    h.inlined = (ProtobufCBinaryData){.data = bytes, .len = 16};
    assert_int_equal(decode_header(&h, NULL, 0, NULL), PS_OK);
    assert_refused(&h, 2, "PUSH of 2 slices and 10 examples has 2 frames, not 0");
    h.inlined.len = 15;
    assert_refused(&h, 0, "PUSH: 15 bytes of payloads lie in its header; there are 16, and at most 1024 may");
    h.slice_bytes[1] = WIRE_INLINED_MAX - 4;
    h.inlined.len = WIRE_INLINED_MAX + 4;
    assert_refused(&h, 0,
                   "PUSH: 1028 bytes of payloads lie in its header; there are 1028, and at most 1024 may");
    h = plain_header(PENSTOCK__MESSAGE_TYPE__FINISH);
    h.inlined = (ProtobufCBinaryData){.data = bytes, .len = 4};
    assert_refused(&h, 0, "FINISH: 4 bytes of payloads lie in its header; there are 0, and at most 1024 may");
}

static void places_outside_their_segments_are_refused(void **state)
{
    (void)state;
    Penstock__Segment only;
    penstock__segment__init(&only);
    only.bytes = 4096 + 16;
    Penstock__Segment *segments[WIRE_SEGMENTS_MAX + 1];
    for (int i = 0; i <= WIRE_SEGMENTS_MAX; i++)
        segments[i] = &only;
    uint32_t numbers[] = {1, 1};
    uint64_t offsets[] = {4096, 4104};
    Penstock__Header h = push_header();
    h.n_segment = 1;
    h.segment = segments;
    h.n_slice_segment = h.n_slice_offset = 2;
    h.slice_segment = numbers;
    h.slice_offset = offsets;
    assert_int_equal(decode_header(&h, NULL, 0, NULL), PS_OK);
    assert_refused(&h, 2, "PUSH of 2 slices and 10 examples has 2 frames, not 0");
    offsets[1] = 4108;
    assert_refused(&h, 0, "PUSH: slice 4, 8 bytes at 4108, is not in a segment of 4112");
    offsets[1] = UINT64_MAX - 3;
    assert_refused(&h, 0, "PUSH: slice 4, 8 bytes at 18446744073709551612, is not in a segment of 4112");
    offsets[1] = 4098;
    assert_refused(&h, 0, "PUSH: slice 4, 8 bytes at 4098, is not in a segment of 4112");
    offsets[1] = 4104;
    numbers[1] = 2;
    assert_refused(&h, 0, "PUSH: slice 4 lies in segment 2 of 1");
    numbers[1] = 1;
    h.n_slice_offset = 1;
    assert_refused(&h, 0, "PUSH of 2 payloads has 2 segment numbers and 1 offsets");
    h.n_slice_offset = 2;
    h.n_segment = WIRE_SEGMENTS_MAX + 1;
    assert_refused(&h, 0, "PUSH names 9 segments; at most 8 are allowed");
}

static void job_with_missing_or_overlong_parts_is_refused(void **state)
{
    (void)state;
    job_config *job = wire_sample_job();
    Penstock__Job *proto = wire_job_to_proto(job);
    Penstock__Job kept = *proto;
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';

    proto->optimizer = NULL;
    assert_job_refused(proto, PS_EPROTOCOL, "HELLO: the job has no optimizer");
    *proto = kept;
    proto->schedule = NULL;
    assert_job_refused(proto, PS_EPROTOCOL, "HELLO: the job has no schedule");
    *proto = kept;
    proto->name = name + sizeof name - 1 - 64;
    assert_job_refused(proto, PS_EPROTOCOL, "HELLO: the job's name has 64 bytes; at most 63 are allowed");
    *proto = kept;
    proto->n_tensors = 0;
    assert_job_refused(proto, PS_ECONFIG, "the job has no tensors: declare the model before joining");
    *proto = kept;

    Penstock__Tensor *first = proto->tensors[0], kept_tensor = *first;
    first->initializer = NULL;
    assert_job_refused(proto, PS_EPROTOCOL, "tensor 'w' has no initializer");
    *first = kept_tensor;
    uint64_t shape[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    first->shape = shape;
    first->n_shape = 9;
    assert_job_refused(proto, PS_EPROTOCOL, "tensor 'w' has rank 9; at most 8 is allowed");
    *first = kept_tensor;
    first->name = name + sizeof name - 1 - 128;
    assert_job_refused(proto, PS_EPROTOCOL, "a tensor's name has 128 bytes; at most 127 are allowed");
    *first = kept_tensor;

    wire_job_free(&proto);
    job_fini(job);
    free(job);
}

static void job_that_breaks_a_rule_of_jobs_is_refused(void **state)
{
    (void)state;
    job_config *job = wire_sample_job();
    job->workers = 0;
    Penstock__Job *proto = wire_job_to_proto(job);
    assert_job_refused(proto, PS_ECONFIG, "workers is 0, which must be in [1, 1024]");
    wire_job_free(&proto);
    job->workers = 5;
    job->mode = (consistency_mode)77;
    proto = wire_job_to_proto(job);
    assert_job_refused(proto, PS_ECONFIG,
                       "mode is the unknown consistency mode 77: choose one of sync, ssp, async");
    wire_job_free(&proto);
    job_fini(job);
    free(job);
}

static void tensor_named_twice_is_refused(void **state)
{
    (void)state;
    job_config *job = wire_sample_job();
    Penstock__Job *proto = wire_job_to_proto(job);
    proto->tensors[1] = proto->tensors[0];
    Penstock__Header h = plain_header(PENSTOCK__MESSAGE_TYPE__HELLO);
    h.hello = proto;
    assert_int_equal(decode_header(&h, NULL, 0, NULL), PS_ECONFIG);
    wire_job_free(&proto);
    job_fini(job);
    free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_push_is_the_basis_of_the_refusals),
        cmocka_unit_test(foreign_protocol_versions_are_refused),
        cmocka_unit_test(members_are_told_whole_and_where_they_belong),
        cmocka_unit_test(unknown_types_and_roles_are_refused),
        cmocka_unit_test(every_type_and_role_of_the_schema_is_known),
        cmocka_unit_test(messages_come_from_the_side_they_belong_to),
        cmocka_unit_test(only_administrators_administer_and_do_nothing_else),
        cmocka_unit_test(sender_index_has_a_bound),
        cmocka_unit_test(job_belongs_in_hello_and_nowhere_else),
        cmocka_unit_test(pushes_have_a_step_and_a_clip_factor),
        cmocka_unit_test(text_beyond_its_limit_is_refused),
        cmocka_unit_test(slice_numbers_must_rise),
        cmocka_unit_test(more_slices_than_the_limit_are_refused),
        cmocka_unit_test(only_pushes_pulls_and_weights_name_slices),
        cmocka_unit_test(frames_must_be_as_many_as_the_slices),
        cmocka_unit_test(frames_must_be_as_long_as_the_header_says),
        cmocka_unit_test(payloads_must_have_a_possible_size),
        cmocka_unit_test(payloads_within_the_header_must_be_as_long_as_it_says),
        cmocka_unit_test(places_outside_their_segments_are_refused),
        cmocka_unit_test(job_with_missing_or_overlong_parts_is_refused),
        cmocka_unit_test(job_that_breaks_a_rule_of_jobs_is_refused),
        cmocka_unit_test(tensor_named_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
