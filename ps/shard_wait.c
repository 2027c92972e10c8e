/* shard_wait.c - who waits for whom: for the log every few seconds, and for workers that ask. */
#include <stdio.h>

#include "common/log.h"
#include "ps/shard_state.h"

/* "worker 0, worker 2 (not joined)", cut where it grows too long. */
static void describe_workers(const shard *s, const worker_set *set, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < set->count && used + 64 < bytes; i++) {
        uint32_t w = set->workers[i];
        used += (size_t)snprintf(text + used, bytes - used, "%sworker %u%s", i ? ", " : "", w,
                                 !s->workers[w].joined ? " (not joined)"
                                 : s->workers[w].lost  ? " (lost)"
                                                       : "");
        if (used + 64 >= bytes && i + 1 < set->count)
            snprintf(text + used, bytes - used, " and %u more", set->count - i - 1);
    }
}

/* "step 17 waits for worker 2": who keeps this request waiting? */
void shard_describe_wait(const shard *s, const wire_message *request, char *text, size_t bytes)
{
    worker_set missing = {0};
    char names[256];
    if (s->held) {
        snprintf(text, bytes, "this ps has been told to end, and goes on when it is started again");
        return;
    }
    if (request->type == WIRE_FINISH) {
        shard_others_at_work(s, request, &missing);
        describe_workers(s, &missing, names, sizeof names);
        snprintf(text, bytes, "the end of the job waits for %s",
                 missing.count ? names : "the last checkpoint");
        return;
    }
    if (request->after_finish) {
        shard_others_at_work(s, request, &missing);
        describe_workers(s, &missing, names, sizeof names);
        snprintf(text, bytes, "the end of the job waits for %s", names);
        return;
    }
    uint64_t step = request->step;
    if (!consistency_may_answer(&s->consistency, step))
        consistency_missing(&s->consistency, step, &missing);
    else if (shard_awaits_word_of_end(s, request))
        missing = (worker_set){.count = 1, .workers = {0}};
    describe_workers(s, &missing, names, sizeof names);
    bool push = request->type == WIRE_PUSH_PULL || request->type == WIRE_PUSH;
    bool whole = !push || consistency_settled(&s->consistency, request->index, request->step);
    snprintf(text, bytes, "step %llu waits for %s", (unsigned long long)step,
             missing.count ? names
             : whole       ? "weights sent before to be taken"
                           : "the rest of its gradient");
}

static const open_request *oldest_request(const shard *s)
{
    const open_request *oldest = NULL;
    for (uint32_t w = 0; w < s->job.workers; w++) {
        const open_request *r = s->workers[w].requests;
        if (r && (!oldest || r->since_ms < oldest->since_ms))
            oldest = r;
    }
    return oldest;
}

static void find_who_has_not_joined(const shard *s, worker_set *missing)
{
    missing->count = 0;
    for (uint32_t w = 0; w < s->job.workers; w++)
        if (!s->workers[w].joined && shard_is_member(s, w))
            missing->workers[missing->count++] = (uint16_t)w;
}

/* Says whether anybody else has. */
static bool find_who_has_not_finished(const shard *s, worker_set *at_work)
{
    bool some_have = false;
    at_work->count = 0;
    for (uint32_t w = 0; w < s->job.workers; w++) {
        some_have |= s->workers[w].finished;
        if (!s->workers[w].finished && shard_is_member(s, w))
            at_work->workers[at_work->count++] = (uint16_t)w;
    }
    return some_have;
}

void shard_describe_stall(const shard *s, char *text, size_t bytes)
{
    const open_request *r = s->has_job ? oldest_request(s) : NULL;
    worker_set missing = {0};
    char names[256];
    if (!s->has_job) {
        snprintf(text, bytes, "no worker has joined");
        return;
    }
    find_who_has_not_joined(s, &missing);
    if (r && missing.count == 0) {
        shard_describe_wait(s, r->message, text, bytes);
        return;
    }
    const bool joined = missing.count == 0;
    if (joined)
        find_who_has_not_finished(s, &missing);
    describe_workers(s, &missing, names, sizeof names);
    snprintf(text, bytes, "%s %s", joined ? "nothing has come from" : "waiting for",
             missing.count ? names : "an evaluator");
}

static void say_who_has_not_joined(const shard *s, unsigned long long seconds)
{
    worker_set missing;
    find_who_has_not_joined(s, &missing);
    if (missing.count == 0)
        return;
    char names[256];
    describe_workers(s, &missing, names, sizeof names);
    log_info("waiting for %s (%llu s)", names, seconds);
}

/* Once some workers have finished: who has not? */
static void say_who_has_not_finished(const shard *s, unsigned long long seconds)
{
    worker_set at_work;
    uint32_t evaluators = 0;
    const bool some_have = find_who_has_not_finished(s, &at_work);
    for (uint32_t i = 0; i < s->job.evaluators; i++)
        evaluators += !s->evaluators[i].finished;
    char names[256];
    describe_workers(s, &at_work, names, sizeof names);
    if (at_work.count > 0 && some_have)
        log_info("the end of the job waits for %s (%llu s)", names, seconds);
    else if (at_work.count == 0 && evaluators > 0)
        log_info("the end of the job waits for %u of %u evaluators (%llu s)", evaluators, s->job.evaluators,
                 seconds);
}

static void say_who_is_missing(const shard *s, uint64_t now_ms)
{
    unsigned long long seconds = (now_ms - s->created_ms) / 1000;
    if (!s->has_job) {
        log_info("no worker has joined yet (%llu s)", seconds);
        return;
    }
    say_who_has_not_joined(s, seconds);
    say_who_has_not_finished(s, seconds);
}

void shard_tick(shard *s, uint64_t now_ms)
{
    s->now_ms = now_ms;
    if (s->created_ms == 0)
        s->created_ms = s->said_ms = now_ms;
    shard_watch(s, now_ms);
    shard_go_on_winding_up(s, false);
    if (s->has_job)
        shard_look_for_the_end(s, now_ms);
    shard_journal_look(s, now_ms);
    if (shard_awaits_archive(s))
        shard_answer_all(s);
    if (now_ms - s->said_ms < SHARD_STALL_MS)
        return;
    s->said_ms = now_ms;
    const open_request *r = s->has_job ? oldest_request(s) : NULL;
    if (s->behind_ms != 0 && now_ms - s->behind_ms >= SHARD_STALL_MS) {
        log_warning("answers wait for the log, which has not reached the disk for %llu s",
                    (unsigned long long)(now_ms - s->behind_ms) / 1000);
    } else if (r && now_ms - r->since_ms >= SHARD_STALL_MS) {
        char text[WIRE_TEXT_MAX + 1];
        shard_describe_wait(s, r->message, text, sizeof text);
        log_event(LOG_WARNING, "stall", s->consistency.applied, "%s (%llu s)", text,
                  (unsigned long long)(now_ms - r->since_ms) / 1000);
    } else {
        say_who_is_missing(s, now_ms);
    }
}
