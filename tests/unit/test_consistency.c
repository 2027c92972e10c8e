/* When updates apply and workers go on: ps/consistency, as scripts of events. */
#include "ps/consistency.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

/* A script is words, each an event or a claim; w is a worker, t a step:
 *   +w:t  a fresh gradient arrives whole        =w:t  it is a repeat      ~w:t  it is too late
 *   !w:t  it is refused                         f:w   the worker finishes x:w   it starts anew
 *   c:w  it asks for the end
 *   a:t/w,w  that update is ready, and applies  -     nothing is ready
 *   y:t  may be answered                        n:t   may not             m:t/w,w  t waits for these
 *   e:0, e:1  have all finished? */
typedef struct {
    consistency c;
    const char *word;
} player;

static void expect(const player *p, bool holds)
{
    if (!holds)
        fail_msg("at '%s'", p->word);
}

static void judge(player *p, char event, uint32_t worker, uint64_t step)
{
    arrival verdict = (arrival)99;
    ps_error error = {PS_OK, ""};
    ps_status status = consistency_judge(&p->c, worker, step, &verdict, &error);
    expect(p, (status == PS_OK) == (event != '!'));
    if (event == '!')
        expect(p, status == PS_EPROTOCOL && error.text[0]);
    else
        expect(p, verdict == (event == '+' ? ARRIVAL_FRESH : event == '=' ? ARRIVAL_REPEAT : ARRIVAL_LATE));
    if (event == '+')
        consistency_arrive(&p->c, worker, step);
}

static void list(const worker_set *set, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < set->count; i++)
        used += (size_t)snprintf(text + used, bytes - used, i ? ",%u" : "%u", set->workers[i]);
}

static void apply(player *p, uint64_t step, const char *contributors)
{
    worker_set set;
    uint64_t ready = 0;
    char found[64];
    expect(p, consistency_ready(&p->c, &ready, &set));
    list(&set, found, sizeof found);
    expect(p, ready == step && strcmp(found, contributors) == 0);
    consistency_applied(&p->c, ready, &set);
}

static void claim_missing(player *p, uint64_t step, const char *workers)
{
    worker_set set;
    char found[64];
    consistency_missing(&p->c, step, &set);
    list(&set, found, sizeof found);
    expect(p, strcmp(found, workers) == 0);
}

static void play_word(player *p)
{
    unsigned a = 0, b = 0;
    char workers[64] = "";
    worker_set set;
    uint64_t step;
    const char event = p->word[0];
    const int numbers = sscanf(p->word + strcspn(p->word, "0123456789"),
                               event == 'a' || event == 'm' ? "%u" : "%u:%u", &a, &b);
    expect(p, numbers >= 1 || event == '-');
    if (strchr(p->word, '/'))
        snprintf(workers, sizeof workers, "%s", strchr(p->word, '/') + 1);
    switch (event) {
    case '+':
    case '=':
    case '~':
    case '!':
        judge(p, event, a, b);
        break;
    case 'f':
        consistency_finish(&p->c, a);
        break;
    case 'c':
        consistency_conclude(&p->c, a);
        break;
    case 'x':
        consistency_forget(&p->c, a);
        break;
    case 'a':
        apply(p, a, workers);
        break;
    case '-':
        expect(p, !consistency_ready(&p->c, &step, &set));
        break;
    case 'y':
    case 'n':
        expect(p, consistency_may_answer(&p->c, a) == (event == 'y'));
        break;
    case 'm':
        claim_missing(p, a, workers);
        break;
    case 'e':
        expect(p, consistency_all_finished(&p->c) == (a == 1));
        break;
    default:
        expect(p, false);
    }
}

typedef struct {
    consistency_mode mode;
    uint32_t workers, staleness, backup_workers;
} rules;

static void play(rules r, const char *script)
{
    job_config job;
    job_init(&job);
    job.mode = r.mode;
    job.workers = r.workers;
    job.staleness = r.staleness;
    job.backup_workers = r.backup_workers;
    player p;
    assert_int_equal(consistency_init(&p.c, &job), PS_OK);
    char words[1024];
    assert_true(strlen(script) < sizeof words);
    strcpy(words, script);
    char *rest = words;
    while ((p.word = strtok_r(rest, " ", &rest)))
        play_word(&p);
    consistency_fini(&p.c);
}

static const rules sync3 = {CONSISTENCY_SYNC, 3, 0, 0};
static const rules backup3 = {CONSISTENCY_SYNC, 3, 0, 1};
static const rules ssp3 = {CONSISTENCY_SSP, 3, 2, 0};
static const rules async2 = {CONSISTENCY_ASYNC, 2, 0, 0};

static void sync_step_applies_when_every_gradient_is_in(void **state)
{
    (void)state;
    play(sync3, "y:0 n:1 m:1/0,1,2 - +2:1 - n:1 m:1/0,1 +0:1 - m:1/1 +1:1 a:1/0,1,2 - y:1 n:2 m:2/0,1,2");
    play((rules){CONSISTENCY_SYNC, 1, 0, 0}, "+0:1 a:1/0 +0:2 a:2/0 y:2 n:3");
}

static void sync_contributors_are_in_worker_order_whatever_the_arrival(void **state)
{
    (void)state;
    static const char *const orders[] = {"+0:1 +1:1 +2:1", "+0:1 +2:1 +1:1", "+1:1 +0:1 +2:1",
                                         "+1:1 +2:1 +0:1", "+2:1 +0:1 +1:1", "+2:1 +1:1 +0:1"};
    for (int i = 0; i < 6; i++) {
        char script[64];
        snprintf(script, sizeof script, "%s a:1/0,1,2", orders[i]);
        play(sync3, script);
    }
}

static void sync_takes_a_step_once_and_none_early(void **state)
{
    (void)state;
    play(sync3, "+0:1 =0:1 !0:2 !0:3 +1:1 +2:1 a:1/0,1,2 =0:1 !0:3 +0:2 =0:1 =0:2");
    play(sync3, "!0:2 !0:1000 !3:1 !1000:1");
}

static void sync_does_not_wait_for_a_finished_worker(void **state)
{
    (void)state;
    play(sync3, "+0:1 +1:1 - f:2 a:1/0,1 e:0 +0:2 f:1 a:2/0 f:0 e:1 -");
    play(sync3, "f:2 !2:1 m:1/0,1");
}

static void last_gradient_of_a_finished_worker_counts(void **state)
{
    (void)state;
    play(sync3, "+2:1 f:2 - +0:1 - +1:1 a:1/0,1,2 =2:1");
    /* All finish with a gradient under way: nothing is left behind. */
    play(sync3, "+0:1 f:0 f:1 - f:2 a:1/0 - e:1");
}

static void restarted_worker_pushes_its_step_again(void **state)
{
    (void)state;
    play(sync3, "+0:1 +1:1 x:0 m:1/0,2 - +0:1 +2:1 a:1/0,1,2 x:0 =0:1 +0:2");
    play(sync3, "x:0 +0:1");
    play(ssp3, "+0:1 x:0 - +0:1 a:1/0 x:0 =0:1 +0:2");
}

static void backups_let_a_step_apply_without_the_slowest(void **state)
{
    (void)state;
    play(backup3, "+0:1 - +2:1 a:1/0,2 y:1 ~1:1 m:2/0,1,2 +1:2 - +0:2 a:2/0,1 ~2:2 +2:3");
    /* Two that arrive in the same turn: all that are there are taken. */
    play(backup3, "+0:1 +1:1 +2:1 a:1/0,1,2");
}

static void with_backups_another_shard_may_be_one_step_ahead(void **state)
{
    (void)state;
    play(backup3, "+1:2 - !1:3 +0:1 - +2:1 a:1/0,2 +0:2 a:2/0,1 ~2:2 =1:1");
    play(sync3, "!1:2");
}

static void worker_restarted_one_step_ahead_pushes_the_step_between(void **state)
{
    (void)state;
    play(backup3, "+1:2 x:1 +1:1 +0:1 a:1/0,1 +1:2");
}

static void last_workers_finish_though_fewer_than_the_backups_are_left(void **state)
{
    (void)state;
    play(backup3, "f:0 f:1 +2:1 a:1/2 +2:2 a:2/2 f:2 e:1");
    play((rules){CONSISTENCY_SYNC, 3, 0, 2}, "+1:1 a:1/1 ~0:1 f:0 f:1 f:2 e:1 -");
}

static void ssp_applies_on_arrival_and_holds_back_the_fast(void **state)
{
    (void)state;
    play(ssp3, "+0:1 a:1/0 y:1 +0:2 a:2/0 y:2 +0:3 a:3/0 n:3 !0:4 m:3/1,2 +1:1 a:1/1 n:3 m:3/2 +2:1 a:1/2 "
               "y:3 n:4 +0:4 a:4/0 m:4/1,2 m:2/ m:0/");
    /* Without slack it is one step at a time. */
    play((rules){CONSISTENCY_SSP, 2, 0, 0}, "+0:1 a:1/0 n:1 !0:2 +1:1 a:1/1 y:1 +0:2");
}

static void ssp_does_not_wait_for_a_finished_worker(void **state)
{
    (void)state;
    play(
        ssp3,
        "+0:1 a:1/0 +0:2 a:2/0 +0:3 a:3/0 n:3 f:1 n:3 m:3/2 f:2 y:3 m:3/ +0:4 a:4/0 +0:5 a:5/0 f:0 y:99 e:1");
}

static void ssp_does_not_wait_for_who_waits_for_the_end(void **state)
{
    (void)state;
    const rules ssp2 = {CONSISTENCY_SSP, 2, 0, 0};
    play(ssp2, "+0:1 a:1/0 +1:1 a:1/1 +1:2 a:2/1 n:2 c:0 y:2 m:2/ x:0 y:2 e:0 +1:3 a:3/1 y:3");
    play(ssp2, "+0:1 a:1/0 c:0 +1:1 a:1/1 +1:2 a:2/1 y:2 +0:2 a:2/0 +1:3 a:3/1 n:3 m:3/0"); /* after all */
}

static void ssp_takes_a_step_once_and_none_early(void **state)
{
    (void)state;
    play(ssp3, "!0:2 +0:1 =0:1 !0:2 a:1/0 =0:1 !0:3 +0:2 f:1 !1:1 !3:1");
}

static void async_applies_on_arrival_and_never_waits(void **state)
{
    (void)state;
    play(async2, "+0:1 a:1/0 +0:2 a:2/0 +0:3 a:3/0 y:3 y:999 +1:1 a:1/1 =0:3 !0:5 - f:0 e:0 !0:4 f:1 e:1");
    /* Two that wait are applied one by one, in worker order. */
    play(async2, "+1:1 +0:1 a:1/0 a:1/1 -");
}

static void refusals_name_worker_and_step(void **state)
{
    (void)state;
    job_config job;
    job_init(&job);
    job.workers = 2;
    consistency c;
    arrival verdict;
    ps_error error;
    assert_int_equal(consistency_init(&c, &job), PS_OK);
    consistency_judge(&c, 2, 1, &verdict, &error);
    assert_string_equal(error.text, "worker 2: the job has workers 0 to 1");
    consistency_judge(&c, 1, 5, &verdict, &error);
    assert_string_equal(error.text, "worker 1 pushes step 5 before its step 4 is answered");
    consistency_finish(&c, 1);
    consistency_judge(&c, 1, 1, &verdict, &error);
    assert_string_equal(error.text, "worker 1 pushes step 1 after it said it had finished");
    consistency_fini(&c);
}

static void lack_of_memory_is_reported(void **state)
{
    (void)state;
    job_config job;
    job_init(&job);
    consistency c;
    torture_begin(0);
    ps_status status = consistency_init(&c, &job);
    torture_end();
    assert_int_equal(status, PS_ENOMEM);
    consistency_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sync_step_applies_when_every_gradient_is_in),
        cmocka_unit_test(sync_contributors_are_in_worker_order_whatever_the_arrival),
        cmocka_unit_test(sync_takes_a_step_once_and_none_early),
        cmocka_unit_test(sync_does_not_wait_for_a_finished_worker),
        cmocka_unit_test(last_gradient_of_a_finished_worker_counts),
        cmocka_unit_test(restarted_worker_pushes_its_step_again),
        cmocka_unit_test(backups_let_a_step_apply_without_the_slowest),
        cmocka_unit_test(with_backups_another_shard_may_be_one_step_ahead),
        cmocka_unit_test(worker_restarted_one_step_ahead_pushes_the_step_between),
        cmocka_unit_test(last_workers_finish_though_fewer_than_the_backups_are_left),
        cmocka_unit_test(ssp_applies_on_arrival_and_holds_back_the_fast),
        cmocka_unit_test(ssp_does_not_wait_for_a_finished_worker),
        cmocka_unit_test(ssp_does_not_wait_for_who_waits_for_the_end),
        cmocka_unit_test(ssp_takes_a_step_once_and_none_early),
        cmocka_unit_test(async_applies_on_arrival_and_never_waits),
        cmocka_unit_test(refusals_name_worker_and_step),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
