/* When images are taken, ps/image_timer: by steps, by time, and by time together with others. */
#include "ps/image_timer.h"

#include "tests/unit/unit.h"

static void steps_count_from_the_start_of_the_job(void **state)
{
    (void)state;
    image_timer t = {.steps = 100};
    image_timer_start(&t, 0, 1000);
    assert_false(image_timer_is_due(&t, 0, 9000));
    assert_false(image_timer_is_due(&t, 99, 9000));
    assert_true(image_timer_is_due(&t, 100, 9000));
    image_timer_start(&t, 100, 9000);
    assert_false(image_timer_is_due(&t, 100, 9000));
    image_timer_start(&t, 150, 9000);
    assert_true(image_timer_is_due(&t, 200, 9000));
    t.steps = 0;
    assert_false(image_timer_is_due(&t, 200, 9000));
}

static void lone_ps_keeps_to_the_interval(void **state)
{
    (void)state;
    image_timer t = {.steps = 10, .interval_ms = 5000, .alone = true};
    image_timer_start(&t, 7, 1000);
    assert_false(image_timer_is_due(&t, 10, 5999));
    assert_true(image_timer_is_due(&t, 11, 6000));
    assert_false(image_timer_is_due(&t, 7, 6000));
    assert_false(image_timer_is_due(&t, 8, 0)); /* a clock that goes back */
}

/* Of several ps that see the same updates, one every `pace_us`, each at its own time: when the last images
 * of each were taken. */
typedef struct {
    image_timer timer;
    uint64_t taken[64], count;
    uint64_t longest_ms;
} viewer;

static uint32_t noise(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 40);
}

/* Updates after `from` up to `to`; this one sees each up to `late_ms` late. */
static void view(viewer *v, uint64_t from, uint64_t to, uint64_t pace_us, uint64_t late_ms, uint64_t *seed)
{
    for (uint64_t step = from + 1; step <= to; step++) {
        uint64_t now_ms = step * pace_us / 1000 + noise(seed) % (late_ms + 1);
        if (!image_timer_is_due(&v->timer, step, now_ms))
            continue;
        if (now_ms - v->timer.last_ms > v->longest_ms)
            v->longest_ms = now_ms - v->timer.last_ms;
        image_timer_start(&v->timer, step, now_ms);
        v->taken[v->count++ % 64] = step;
    }
}

static void several_ps_take_the_same_updates_wherever_they_began(void **state)
{
    (void)state;
    enum { INTERVAL_MS = 10000, END = 400000 };
    const uint64_t paces_us[] = {700, 1000, 1300, 2100, 9700};
    uint64_t seed = 1;
    for (int i = 0; i < 5; i++) {
        for (uint64_t begin = 0; begin < 40000; begin += 3331) {
            viewer a = {.timer = {.interval_ms = INTERVAL_MS}}, b = a;
            image_timer_start(&b.timer, begin, begin * paces_us[i] / 1000);
            view(&a, 0, END, paces_us[i], 0, &seed);
            view(&b, begin, END, paces_us[i], 20, &seed);
            uint64_t same = 0;
            for (uint64_t k = 1; k <= 20; k++)
                same += a.taken[(a.count - k) % 64] == b.taken[(b.count - k) % 64];
            assert_int_equal(same, 20);
            assert_in_range(a.longest_ms, INTERVAL_MS / 2, INTERVAL_MS + INTERVAL_MS / 8);
            assert_in_range(b.longest_ms, INTERVAL_MS / 2, INTERVAL_MS + INTERVAL_MS / 8);
        }
    }
}

static void slow_training_is_kept_after_each_update(void **state)
{
    (void)state;
    image_timer t = {.interval_ms = 1000};
    uint64_t now_ms = 5;
    image_timer_start(&t, 0, now_ms);
    for (uint64_t step = 1; step < 20; step++) {
        now_ms += 3000;
        assert_true(image_timer_is_due(&t, step, now_ms));
        image_timer_start(&t, step, now_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_count_from_the_start_of_the_job),
        cmocka_unit_test(lone_ps_keeps_to_the_interval),
        cmocka_unit_test(several_ps_take_the_same_updates_wherever_they_began),
        cmocka_unit_test(slow_training_is_kept_after_each_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
