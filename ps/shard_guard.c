/* shard_guard.c - what becomes of gradients that hold NaN or Inf?
 *
 * A worker judges its gradient as a whole and flags it, so that all shards leave it out alike. A worker that
 * does not tell is found out by the update itself, which has taken the elements concerned for 0 already; only
 * then are gradients read once more, to name it. */
#include "common/codec.h"
#include "common/log.h"
#include "ps/shard_state.h"

/* Counts it; fails the job, or logs what was done about it. */
static void refuse(shard *s, uint32_t worker, uint64_t step, const char *consequence)
{
    s->counters.nonfinite_refused++;
    if (s->job.guard == GUARD_STOP) {
        ps_error why;
        ps_fail(&why, PS_ENONFINITE, "the gradient of worker %u for step %llu holds NaN or Inf", worker,
                (unsigned long long)step);
        shard_fail_job(s, &why);
    } else {
        log_warning("step %llu: the gradient of worker %u holds NaN or Inf and %s", (unsigned long long)step,
                    worker, consequence);
    }
}

void shard_guard_flagged(shard *s, uint32_t worker)
{
    member_push *push = &s->workers[worker].push;
    push->examples = 0;
    refuse(s, worker, push->step, "is left out");
}

static bool is_finite(const shard *s, const member_push *push)
{
    const uint32_t *numbers = s->partition.server_slices + s->partition.server_first[s->config.index];
    for (uint32_t i = 0; i < s->slice_count; i++) {
        const slice *cut = &s->partition.slices[numbers[i]];
        const codec_payload payload = {job_push_codec(&s->job, cut->tensor).kind,
                                       buffer_bytes(push->slices[i]), buffer_size(push->slices[i])};
        if (!codec_is_finite(&payload, cut->count))
            return false;
    }
    return true;
}

/* Each of the gradients is finite, but not their sum. */
static void refuse_sum(shard *s, uint64_t step)
{
    if (s->job.guard == GUARD_STOP) {
        ps_error why;
        ps_fail(&why, PS_ENONFINITE, "the sum of the gradients of step %llu overflows",
                (unsigned long long)step);
        shard_fail_job(s, &why);
    } else {
        log_warning("step %llu: the sum of the gradients overflows; elements concerned count as 0",
                    (unsigned long long)step);
    }
}

void shard_guard_applied(shard *s, uint64_t step, const worker_set *contributors)
{
    bool found = false;
    for (uint32_t i = 0; i < contributors->count; i++) {
        uint32_t worker = contributors->workers[i];
        const member_push *push = &s->workers[worker].push;
        if (push->examples == 0 || is_finite(s, push))
            continue;
        refuse(s, worker, step, "does not say so; elements concerned count as 0 for all");
        found = true;
    }
    if (!found)
        refuse_sum(s, step);
}
