/* Gradients that a session sends as they get ready, tensor by tensor. */
#include "worker/session.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/recycler.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/session_bench.h"
#include "tests/unit/silence.h"
#include "tests/unit/torture.h"

enum { TENSOR_ELEMENTS = 1000, TENSOR_BYTES = 4 * TENSOR_ELEMENTS };

/* Four tensors of a slice each on one ps; a message takes two or three. */
static session_ticket begin_by_tensor(bench *b)
{
    memset(b, 0, sizeof *b);
    job_sample(&b->job, 1, 1, TENSOR_ELEMENTS);
    static const char *const names[] = {"x", "y", "z"};
    for (int i = 0; i < 3; i++)
        job_sample_add(&b->job, names[i], TENSOR_ELEMENTS, (initializer){.kind = INITIALIZER_ZEROS});
    open_session(b, 2 * TENSOR_BYTES, 3 * TENSOR_BYTES);
    join_all(b);
    const session_request request = {
        .type = WIRE_PUSH_PULL,
        .step = 1,
        .examples = 10,
        .clip_factor = 1,
        .by_tensor = true,
        .gradients = b->gradients_of,
        .weights = b->weights_of,
    };
    session_ticket ticket;
    assert_int_equal(session_submit(b->session, &request, &ticket), PS_OK);
    return ticket;
}

static void make_ready(bench *b, session_ticket ticket, uint32_t first, uint32_t count)
{
    assert_int_equal(session_ready(b->session, ticket, first, count), PS_OK);
}

/* Takes a push that names just these slices, which here are tensors. */
static uint64_t take_slices(bench *b, const uint32_t *numbers, uint32_t count, bool nonfinite)
{
    wire_message *m = take(b, 0, 0, WIRE_PUSH_PULL);
    assert_int_equal(m->slice_count, count);
    assert_int_equal(m->nonfinite, nonfinite);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(m->slices[i], numbers[i]);
        assert_ptr_equal(buffer_bytes(m->payloads[i]), b->gradients_of[numbers[i]]);
    }
    uint64_t request = m->request;
    wire_destroy(&m);
    return request;
}

static void give_slices(bench *b, uint64_t request, const uint32_t *numbers, uint32_t count)
{
    wire_message *m = make_answer(b, 0, WIRE_WEIGHTS, request, count);
    m->has_payload = true;
    for (uint32_t i = 0; i < count; i++) {
        m->slices[i] = numbers[i];
        m->payloads[i] = buffer_alloc(TENSOR_BYTES);
        memset(buffer_data(m->payloads[i]), 0, TENSOR_BYTES);
    }
    give(b, 0, m);
}

static void gradient_leaves_as_it_gets_ready_but_the_last_part_waits_for_the_judgement(void **state)
{
    (void)state;
    bench b;
    session_ticket ticket = begin_by_tensor(&b);
    assert_silent(&b, 0, 0);
    make_ready(&b, ticket, 3, 1);
    assert_silent(&b, 0, 0); /* not worth a message */
    make_ready(&b, ticket, 2, 1);
    take_slices(&b, (uint32_t[]){2, 3}, 2, false);
    make_ready(&b, ticket, 0, 2);
    assert_silent(&b, 0, 0);
    session_judge(b.session, ticket, true, 1);
    take_slices(&b, (uint32_t[]){0, 1}, 2, true);
    assert_silent(&b, 0, 0);
    close_bench(&b);
}

static void one_slice_stays_behind_even_if_all_are_ready(void **state)
{
    (void)state;
    bench b;
    session_ticket ticket = begin_by_tensor(&b);
    make_ready(&b, ticket, 0, 4);
    take_slices(&b, (uint32_t[]){0, 1, 2}, 3, false);
    assert_silent(&b, 0, 0);
    session_judge(b.session, ticket, false, 1);
    take_slices(&b, (uint32_t[]){3}, 1, false);
    close_bench(&b);
}

static void what_the_next_forward_needs_first_leaves_first(void **state)
{
    (void)state;
    bench b;
    session_ticket ticket = begin_by_tensor(&b);
    make_ready(&b, ticket, 2, 2);
    make_ready(&b, ticket, 0, 1);
    take_slices(&b, (uint32_t[]){0, 2, 3}, 3, false);
    make_ready(&b, ticket, 1, 1);
    session_judge(b.session, ticket, false, 1);
    take_slices(&b, (uint32_t[]){1}, 1, false);
    close_bench(&b);
}

static void message_of_several_slices_has_a_maximum_of_bytes(void **state)
{
    (void)state;
    bench b;
    session_ticket ticket = begin_by_tensor(&b);
    make_ready(&b, ticket, 0, 4);
    session_judge(b.session, ticket, false, 0.5f);
    wire_message *m = take(&b, 0, 0, WIRE_PUSH_PULL);
    assert_int_equal(m->slice_count, 3);
    assert_true(m->clip_factor == 0.5f);
    wire_destroy(&m);
    take_slices(&b, (uint32_t[]){3}, 1, false);
    close_bench(&b);
}

static void weights_are_known_to_be_in_place_tensor_by_tensor(void **state)
{
    (void)state;
    bench b;
    session_ticket ticket = begin_by_tensor(&b);
    make_ready(&b, ticket, 1, 3);
    uint64_t first = take_slices(&b, (uint32_t[]){1, 2, 3}, 3, false);
    make_ready(&b, ticket, 0, 1);
    session_judge(b.session, ticket, false, 1);
    uint64_t second = take_slices(&b, (uint32_t[]){0}, 1, false);
    assert_false(session_has_weights(b.session, ticket, 0, 1));
    give_slices(&b, second, (uint32_t[]){0}, 1);
    assert_true(session_has_weights(b.session, ticket, 0, 1));
    assert_false(session_has_weights(b.session, ticket, 0, 2));
    assert_false(session_answered(b.session, ticket));
    give_slices(&b, first, (uint32_t[]){1, 2, 3}, 3);
    assert_true(session_has_weights(b.session, ticket, 0, 4));
    assert_true(session_finished(b.session, ticket));
    close_bench(&b);
}

static void part_that_was_lost_is_sent_again_as_it_was_cut(void **state)
{
    (void)state;
    bench b;
    session_ticket ticket = begin_by_tensor(&b);
    make_ready(&b, ticket, 2, 2);
    uint64_t first = take_slices(&b, (uint32_t[]){2, 3}, 2, false);
    make_ready(&b, ticket, 0, 2);
    session_judge(b.session, ticket, true, 1);
    give_plain(&b, 0, WIRE_RESEND, first);
    assert_int_equal(take_slices(&b, (uint32_t[]){2, 3}, 2, true), first); /* older than what is uncut */
    uint64_t second = take_slices(&b, (uint32_t[]){0, 1}, 2, true);
    give_plain(&b, 0, WIRE_RESEND, second);
    give_plain(&b, 0, WIRE_RESEND, first);
    assert_int_equal(take_slices(&b, (uint32_t[]){2, 3}, 2, true), first);
    give_slices(&b, second, (uint32_t[]){0, 1}, 2); /* answered before it was sent again */
    assert_silent(&b, 0, 0);
    close_bench(&b);
}

static void pushes_do_not_overtake_one_whose_gradient_is_still_coming(void **state)
{
    (void)state;
    bench b;
    session_ticket ticket = begin_by_tensor(&b), later;
    const session_request push = {.type = WIRE_PUSH, .step = 2, .clip_factor = 1};
    assert_int_equal(session_submit(b.session, &push, &later), PS_ESTATE);
    submit(&b, WIRE_PULL, 0);
    take_request(&b, 0, 0, WIRE_PULL);
    make_ready(&b, ticket, 0, 4);
    session_judge(b.session, ticket, false, 1);
    assert_int_equal(session_submit(b.session, &push, &later), PS_OK);
    close_bench(&b);
}

static void tensor_is_ready_once_and_only_while_it_is_awaited(void **state)
{
    (void)state;
    bench b;
    session_ticket ticket = begin_by_tensor(&b);
    make_ready(&b, ticket, 1, 1);
    assert_int_equal(session_ready(b.session, ticket, 0, 2), PS_EINVAL);
    assert_int_equal(session_ready(b.session, ticket, 3, 2), PS_EINVAL);
    assert_int_equal(session_ready(b.session, ticket, UINT32_MAX, 1), PS_EINVAL);
    make_ready(&b, ticket, 0, 1);
    make_ready(&b, ticket, 2, 2);
    session_judge(b.session, ticket, false, 1);
    assert_int_equal(session_ready(b.session, ticket, 0, 0), PS_EINVAL);
    assert_int_equal(session_ready(b.session, submit(&b, WIRE_PULL, 0), 0, 1), PS_EINVAL);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_leaves_as_it_gets_ready_but_the_last_part_waits_for_the_judgement),
        cmocka_unit_test(one_slice_stays_behind_even_if_all_are_ready),
        cmocka_unit_test(what_the_next_forward_needs_first_leaves_first),
        cmocka_unit_test(message_of_several_slices_has_a_maximum_of_bytes),
        cmocka_unit_test(weights_are_known_to_be_in_place_tensor_by_tensor),
        cmocka_unit_test(part_that_was_lost_is_sent_again_as_it_was_cut),
        cmocka_unit_test(pushes_do_not_overtake_one_whose_gradient_is_still_coming),
        cmocka_unit_test(tensor_is_ready_once_and_only_while_it_is_awaited),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
