/* What /livez says of a ps whose loop does not turn. The rest of an observer is tested with daemons. */
#include <stdlib.h>

#include "common/clock.h"
#include "common/headway.h"
#include "deploy/status/http_fetch.h"
#include "ps/observer.h"
#include "ps/ps_metrics.h"
#include "tests/unit/unit.h"

enum { FETCH_MS = 60000 };

static bool is_live(const observer *o)
{
    char *body = NULL;
    size_t bytes;
    ps_error error;
    const bool live = http_fetch(observer_where(o), "/livez", NULL, FETCH_MS, &body, &bytes, &error) == PS_OK;
    free(body);
    return live;
}

static void a_loop_that_stands_is_dead_unless_it_is_at_a_long_piece_of_work(void **state)
{
    (void)state;
    static const server_identity self = {0, 1};
    const http_options options = {.wanted = true};
    observer *o;
    ps_error error;
    assert_int_equal(observer_create(&options, &self, &o, &error), PS_OK);
    headway_note(); /* of work before this, which says nothing of now */
    assert_int_equal(observer_serve(o, &options, NULL, &error), PS_OK);
    assert_true(is_live(o));
    metrics_set(observer_metrics(o), PS_METRIC_TICK, 0, clock_monotonic_ms() - OBSERVER_LIVE_MS - 1000);
    assert_false(is_live(o));
    headway_note();
    assert_true(is_live(o));
    assert_true(is_live(o)); /* for a while */
    observer_close(o);
    observer_destroy(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_that_stands_is_dead_unless_it_is_at_a_long_piece_of_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
