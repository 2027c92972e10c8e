/* session_receive.c - takes answers in. See session_state.h. */
#include <stdio.h>

#include "common/log.h"
#include "worker/session_state.h"

static void finish_part(session *s, part *p, const wire_message *answer)
{
    operation *op = p->operation;
    session_close_part(s, p);
    if (answer->step > op->result.step)
        op->result.step = answer->step;
    if (answer->examples_total < op->result.examples_total)
        op->result.examples_total = answer->examples_total;
    op->result.job_finished &= answer->job_finished;
    op->result.once_more |= answer->after_finish;
}

/* Are these the weights that the part asked for? */
static bool weights_fit(const session *s, const part *p, const wire_message *answer)
{
    const partition *map = s->config.partition;
    const codec_config codec = job_pull_codec(s->config.job, p->operation->request.after_finish);
    if (answer->slice_count != p->count || !answer->has_payload)
        return false;
    for (uint32_t i = 0; i < p->count; i++)
        if (answer->slices[i] != p->slices[i] || !answer->payloads[i] ||
            buffer_size(answer->payloads[i]) != codec_bytes(&codec, map->slices[p->slices[i]].count))
            return false;
    return true;
}

/* May the shard have let go of the memory that this answer refers to? So it does when it is asked again, or
 * when it has heard that a later answer has come. */
static bool is_outdated(const session *s, const part *p, const wire_message *answer)
{
    return answer->segment_count > 0 && (p->sent > 1 || answer->settled <= s->peers[p->server].taken);
}

static void take_weights(session *s, const part *p, const wire_message *answer)
{
    operation *op = p->operation;
    const codec_kind kind = job_pull_codec(s->config.job, op->request.after_finish).kind;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < answer->slice_count; i++) {
        const slice *cut = &s->config.partition->slices[answer->slices[i]];
        const buffer *payload = answer->payloads[i];
        codec_decode(&(codec_payload){kind, buffer_bytes(payload), buffer_size(payload)}, 0, cut->count,
                     op->weights[cut->tensor] + cut->offset);
        op->missing[cut->tensor]--;
        bytes += buffer_size(payload);
        s->counters.bytes_copied += cut->count * sizeof(float);
    }
    s->peers[p->server].taken_bytes += bytes;
    s->counters.bytes_pulled += bytes;
}

/* A refusal after which no ps can do anything for this process. */
static bool ends_job(ps_status status)
{
    return status == PS_EPEER || status == PS_EMISMATCH || status == PS_ENONFINITE || status == PS_ENOMEM;
}

static void handle_refusal(session *s, part *p, const wire_message *refusal)
{
    ps_status status = refusal->status < 0 ? refusal->status : PS_EPROTOCOL;
    const char *why = refusal->text ? refusal->text : "refused without a reason";
    ps_fail(&p->operation->failure, status, "ps/%u: %s", p->server, why);
    finish_part(s, p, refusal);
    if (ends_job(status)) /* the other ps may wait for a step that never comes */
        session_fail(s, p->server, status, why);
}

/* This ps must not come back to a step before the one that it has answered. Without synchrony weights may be
 * pulled before the gradient of that step is there. */
static void acknowledge(session *s, const part *p, const wire_message *answer)
{
    const uint64_t asked = p->operation->request.step;
    const uint64_t step = answer->step > asked ? answer->step : asked;
    const bool sync = s->config.job->mode == CONSISTENCY_SYNC;
    if (!sync && p->operation->request.type == WIRE_PULL)
        return;
    peer *from = &s->peers[p->server];
    if (from->acknowledged < (sync ? step : asked))
        from->acknowledged = sync ? step : asked;
}

/* 1 + the index of a worker of this job, but for the chief, whom nobody replaces. */
static bool can_be_lost(const session *s, uint32_t named)
{
    return named > 1 && named <= s->config.job->workers;
}

static void handle_answer(session *s, part *p, const wire_message *answer)
{
    operation *op = p->operation;
    wire_type type = op->request.type;
    bool wants_weights = type == WIRE_PUSH_PULL || type == WIRE_PULL;
    switch (answer->type) {
    case WIRE_WEIGHTS:
        if (answer->segment_count > 0 && !answer->readable) { /* once more, through the socket */
            s->peers[p->server].read_by_us = false;
            session_make_due(s, p, PART_TO_SEND);
            return;
        }
        if (is_outdated(s, p, answer)) /* another is on its way, or will be asked for */
            return;
        if (!wants_weights || !weights_fit(s, p, answer)) {
            log_warning("ps/%u answered with other slices than were asked for; ignored", p->server);
            return;
        }
        take_weights(s, p, answer);
        acknowledge(s, p, answer);
        finish_part(s, p, answer);
        break;
    case WIRE_ACK:
        if (wants_weights)
            break;
        acknowledge(s, p, answer);
        finish_part(s, p, answer);
        break;
    case WIRE_RESEND:
        if (p->state != PART_TO_SEND)
            log_debug("ps/%u has lost request %llu; sending it again", p->server,
                      (unsigned long long)answer->request);
        session_make_due(s, p, PART_TO_SEND);
        s->peers[p->server].reads_ours &= answer->reads_memory;
        break;
    case WIRE_PENDING:
        snprintf(s->peers[p->server].waits_for, sizeof s->peers[p->server].waits_for, "%s",
                 answer->text ? answer->text : "");
        s->lost_worker = can_be_lost(s, answer->lost_worker) ? answer->lost_worker : 0;
        break;
    case WIRE_ERROR:
        if (answer->status == PS_EREJOIN)
            session_rejoin(s);
        else
            handle_refusal(s, p, answer);
        break;
    default:
        break;
    }
}

/* Takes in an answer of a part, or NULL, of the ps that this session has joined. */
static void take_answer(session *s, uint32_t server, part *p, const wire_message *m)
{
    peer *from = &s->peers[server];
    if (p && s->joined) /* else all this may be void; then it is asked for again */
        handle_answer(s, p, m);
    if (m->type == WIRE_WEIGHTS && m->settled > from->taken)
        from->taken = m->settled;
    if (s->joined && m->members_version > s->members.version)
        session_rejoin(s);
}

/* Of the same job: another one's end means nothing to this. It is ps 0 that decides; the others know only
 * where a worker ended that has finished. */
static void take_end(session *s, uint32_t server, const wire_message *m)
{
    if (m->end_step == 0 || m->job != s->fingerprint || (server != 0 && s->end_step != 0))
        return;
    s->peers[0].to_be_reminded |=
        session_is_chief(s) && s->end_step != m->end_step; /* ps 0 waits for its echo */
    s->end_step = m->end_step;
}

void session_receive(session *s, uint32_t server, wire_message **message)
{
    const wire_message *m = *message;
    s->counters.received++;
    s->peers[server].heard = true;
    if (m->role != WIRE_PS || m->index != server) {
        session_fail(s, server, PS_EMISMATCH, "at its address answers another process");
        wire_destroy(message);
        return;
    }
    take_end(s, server, m);
    if (m->type == WIRE_WELCOME) {
        session_handle_welcome(s, server, m);
    } else {
        part *p = session_find_part(s, m->request);
        if (p && p->server != server)
            p = NULL;
        if (m->incarnation == s->peers[server].incarnation && (p || m->type != WIRE_ERROR))
            take_answer(s, server, p, m);
        else if (!p && m->type == WIRE_ERROR)
            session_handle_member_error(s, server, m);
        else if (p && s->joined) /* it has restarted, and has heard a HELLO sent before that */
            session_rejoin(s);
    }
    wire_destroy(message);
}
