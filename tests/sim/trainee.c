/* trainee.c - see trainee.h. */
#include "tests/sim/trainee.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/dice.h"
#include "worker/session.h"

enum { EVALUATOR_PAUSE_MS = 50 };

#define PHASE_LIST(X)                                              \
    X(PHASE_JOINING, "joining")                                    \
    X(PHASE_SETTLING, "leaving the job, or entering it")           \
    X(PHASE_STARTING, "pulling the weights to start from")         \
    X(PHASE_COMPUTING, "computing")                                \
    X(PHASE_BACKWARD, "completing its gradient, tensor by tensor") \
    X(PHASE_PUSHING, "waiting for the answers to its push")        \
    X(PHASE_PULLING, "waiting for the weights after its push")     \
    X(PHASE_CONCLUDING, "waiting for the end of the others")       \
    X(PHASE_PAUSING, "pausing between two evaluations")            \
    X(PHASE_EVALUATING, "pulling weights to evaluate")             \
    X(PHASE_RETREATING, "giving up what it had begun")             \
    X(PHASE_LEAVING, "waiting for the answers to its last word")   \
    X(PHASE_FINISHING, "waiting for the answers to its farewell")  \
    X(PHASE_DONE, "done")

typedef enum {
#define PHASE_ENUM(name, text) name,
    PHASE_LIST(PHASE_ENUM)
#undef PHASE_ENUM
} phase;

struct trainee {
    trainee_config config;
    session *session;
    dice dice;
    uint64_t elements;
    phase phase;
    uint64_t step;     /* done last */
    uint64_t ready_ms; /* when computing or pausing ends */
    session_ticket push, pull;
    toy_batch batch;       /* of the gradient that is pushed */
    uint32_t unready;      /* tensors of it; the last ones are ready first */
    bool pushing, pulling; /* `push`, `pull` are open */
    bool went_back;        /* ever */
    bool heard, gave_up;   /* heard: anything since the last tick */
    uint64_t heard_ms;     /* or when it began to finish */
    uint64_t computed;
    uint64_t steps;                         /* of the job */
    bool has_joined;                        /* ever */
    bool too_late;                          /* to leave or to enter */
    uint64_t beat_ms[SCENARIO_SERVERS_MAX]; /* when a sign of life is due to that ps */
    float *weights, *gradient;              /* (elements) */
    float **tensor_weights;                 /* (tensors) into weights */
    const float **tensor_gradient;          /* (tensors) into gradient */
};

ps_status trainee_create(const trainee_config *config, trainee **out)
{
    const scenario *s = config->scenario;
    trainee *t = calloc(1, sizeof *t);
    *out = t;
    if (!t)
        return PS_ENOMEM;
    t->config = *config;
    t->dice = dice_for(s->seed, wire_role_name(config->role), config->index);
    t->elements = tensor_table_elements(&s->job.tensors);
    t->weights = calloc(t->elements, sizeof *t->weights);
    t->gradient = calloc(t->elements, sizeof *t->gradient);
    t->tensor_weights = calloc(s->job.tensors.count, sizeof *t->tensor_weights);
    t->tensor_gradient = calloc(s->job.tensors.count, sizeof *t->tensor_gradient);
    session_config of_session = {
        .job = &s->job,
        .partition = config->partition,
        .role = config->role,
        .index = config->index,
        .incarnation = config->incarnation,
        .query_first_ms = s->query_first_ms,
        .query_max_ms = s->query_max_ms,
        .slices_per_message = s->slices_per_message,
    };
    if (!t->weights || !t->gradient || !t->tensor_weights || !t->tensor_gradient ||
        session_create(&of_session, &t->session) != PS_OK) {
        trainee_destroy(out);
        return PS_ENOMEM;
    }
    for (uint32_t i = 0; i < s->job.tensors.count; i++) {
        t->tensor_weights[i] = t->weights + toy_offset(&s->job, i);
        t->tensor_gradient[i] = t->gradient + toy_offset(&s->job, i);
    }
    return PS_OK;
}

void trainee_destroy(trainee **handle)
{
    trainee *t = *handle;
    *handle = NULL;
    if (!t)
        return;
    session_destroy(&t->session);
    free(t->weights);
    free(t->gradient);
    free(t->tensor_weights);
    free(t->tensor_gradient);
    free(t);
}

static const scenario_worker *of_worker(const trainee *t)
{
    return &t->config.scenario->workers[t->config.index];
}

static uint64_t pause_ms(trainee *t)
{
    bool evaluator = t->config.role == WIRE_EVALUATOR;
    return dice_between(&t->dice, 0, evaluator ? EVALUATOR_PAUSE_MS : of_worker(t)->step_ms);
}

/* ---- checks ---- */

static ps_status check_weights(const trainee *t, const float *expected, const char *what, ps_error *error)
{
    for (uint64_t i = 0; i < t->elements; i++)
        if (memcmp(&t->weights[i], &expected[i], sizeof(float)) != 0)
            return ps_fail(
                error, PS_EINTERNAL,
                "same bits: element %llu of the weights that %s %u has %s is %.9g; it should be %.9g",
                (unsigned long long)i, wire_role_name(t->config.role), t->config.index, what,
                (double)t->weights[i], (double)expected[i]);
    return PS_OK;
}

static bool has_step(const trainee *t, uint64_t step)
{
    return step <= t->steps && members_include(trainee_members(t), t->config.index, step);
}

/* In a synchronous run without backups the weights are those of the worker's own step, and known. Once a
 * worker has finished, or takes part no more, the others go on without it, also where it has to come back for
 * its last steps. */
static ps_status check_version(const trainee *t, uint64_t version, ps_error *error)
{
    const bool has_all_steps = !has_step(t, t->step + 1);
    if (!t->config.trajectory || (has_all_steps && (t->phase == PHASE_STARTING || version > t->step)))
        return PS_OK;
    if (version != t->step)
        return ps_fail(error, PS_EINTERNAL, "sync: worker %u is at step %llu and was given version %llu",
                       t->config.index, (unsigned long long)t->step, (unsigned long long)version);
    return check_weights(t, trajectory_version(t->config.trajectory, trainee_members(t), t->step),
                         "after its step", error);
}

static ps_status check_final(const trainee *t, ps_error *error)
{
    if (t->config.oracle)
        return check_weights(t, oracle_weights(t->config.oracle), "at the end", error);
    if (!t->config.trajectory)
        return PS_OK;
    return check_weights(t, trajectory_version(t->config.trajectory, trainee_members(t), t->steps),
                         "at the end", error);
}

/* ---- requests ---- */

static ps_status submit(trainee *t, const session_request *request, session_ticket *ticket, ps_error *error)
{
    ps_status status = session_submit(t->session, request, ticket);
    if (status != PS_OK)
        return ps_fail(error, status, "%s %u cannot submit %s: %s", wire_role_name(t->config.role),
                       t->config.index, wire_type_name(request->type), ps_status_text(status));
    return PS_OK;
}

static ps_status submit_pull(trainee *t, uint64_t step, bool after_finish, ps_error *error)
{
    session_request pull = {
        .type = WIRE_PULL,
        .step = step,
        .after_finish = after_finish,
        .weights = t->tensor_weights,
    };
    t->pulling = true;
    return submit(t, &pull, &t->pull, error);
}

static ps_status submit_finish(trainee *t, ps_error *error)
{
    session_request finish = {.type = WIRE_FINISH, .after_finish = t->phase == PHASE_FINISHING};
    t->phase = t->phase == PHASE_FINISHING ? PHASE_LEAVING : PHASE_FINISHING;
    t->pulling = true;
    return submit(t, &finish, &t->pull, error);
}

/* As worker/trainer.c. In synchronous training nobody has begun a step beyond the end, unless ps go back. */
static ps_status heed_end(trainee *t, uint64_t step, ps_error *error)
{
    const uint64_t end = session_end_step(t->session);
    if (end == 0 || end >= t->steps)
        return PS_OK;
    t->steps = end > step ? end : step;
    if (end >= step || !scenario_is_exact(t->config.scenario) || !t->config.oracle)
        return PS_OK;
    return ps_fail(error, PS_EINTERNAL,
                   "end: worker %u is at step %llu, and hears that step %llu is the last", t->config.index,
                   (unsigned long long)step, (unsigned long long)end);
}

/* Computes the next step's gradient and pushes it. */
static ps_status submit_push(trainee *t, ps_error *error)
{
    scenario_style style = of_worker(t)->style;
    uint64_t step = t->step + 1;
    toy_batch batch;
    toy_gradient(t->config.scenario, trainee_members(t), t->config.index, step, t->weights, t->gradient,
                 &batch);
    t->computed = step;
    if (t->config.oracle)
        oracle_computed(t->config.oracle, t->config.index, step, t->gradient, &batch);
    bool by_tensor = batch.examples > 0 && dice_chance(&t->dice, 400);
    session_request push = {
        .type = style == STYLE_PUSH_PULL ? WIRE_PUSH_PULL : WIRE_PUSH,
        .step = step,
        .examples = batch.examples,
        .clip_factor = by_tensor ? 1 : batch.clip_factor,
        .nonfinite = batch.nonfinite && !by_tensor,
        .by_tensor = by_tensor,
        .judged_first = t->config.scenario->job.optimizer.clip_norm > 0,
        .gradients = batch.examples > 0 ? t->tensor_gradient : NULL,
        .weights = style == STYLE_PUSH_PULL ? t->tensor_weights : NULL,
    };
    t->batch = batch;
    t->unready = by_tensor ? t->config.scenario->job.tensors.count : 0;
    t->phase = by_tensor ? PHASE_BACKWARD : PHASE_PUSHING;
    ps_status status = submit(t, &push, &t->push, error);
    t->pushing = status == PS_OK;
    if (status == PS_OK)
        status = heed_end(t, step, error);
    if (status == PS_OK && style == STYLE_PUSH_AND_PULL)
        status = submit_pull(t, step, false, error);
    return status;
}

/* One tensor more. The last brings the judgement of all. */
static ps_status make_tensor_ready(trainee *t, ps_error *error)
{
    ps_status status = session_ready(t->session, t->push, --t->unready, 1);
    if (status != PS_OK)
        return ps_fail(error, status, "tensor %u is not awaited", t->unready);
    if (t->unready == 0) {
        session_judge(t->session, t->push, t->batch.nonfinite, t->batch.clip_factor);
        t->phase = PHASE_PUSHING;
    }
    return PS_OK;
}

/* Nothing that a member asks for is ever wrong, so nothing may be refused. */
static ps_status collect(trainee *t, session_ticket ticket, session_result *result, ps_error *error)
{
    ps_error why;
    ps_status status = session_collect(t->session, ticket, result, &why);
    t->too_late = status == PS_ESTATE && t->phase == PHASE_SETTLING;
    if (status == PS_OK || t->too_late)
        return PS_OK;
    return ps_fail(error, status, "refusal: a request of %s %u after step %llu failed: %s",
                   wire_role_name(t->config.role), t->config.index, (unsigned long long)t->step, why.text);
}

/* ---- phases ---- */

/* Is there one in which it takes part? */
static bool has_later_step(const trainee *t)
{
    return members_first_step(trainee_members(t), t->config.index, t->step + 1) <= t->steps;
}

/* The others do the steps before it. */
static ps_status await_next_step(trainee *t, ps_error *error)
{
    t->step = members_first_step(trainee_members(t), t->config.index, t->step + 1) - 1;
    t->phase = PHASE_STARTING;
    return submit_pull(t, t->step, false, error);
}

static ps_status start_step_or_end(trainee *t, uint64_t now_ms, ps_error *error)
{
    if (has_step(t, t->step + 1)) {
        t->phase = PHASE_COMPUTING;
        t->ready_ms = now_ms + pause_ms(t);
        return PS_OK;
    }
    if (has_later_step(t))
        return await_next_step(t, error);
    if (t->config.stands_in) {
        t->phase = PHASE_DONE;
        return PS_OK;
    }
    if (t->config.index > 0)
        return submit_finish(t, error);
    t->phase = PHASE_CONCLUDING;
    return submit_pull(t, 0, true, error);
}

/* All that the step needed is here. With backups the others may have gone on without this worker. */
static ps_status end_step(trainee *t, uint64_t version, uint64_t now_ms, ps_error *error)
{
    t->step++;
    ps_status status =
        t->config.oracle ? oracle_check_step(t->config.oracle, t->config.index, t->step, error) : PS_OK;
    if (status == PS_OK)
        status = heed_end(t, t->step, error);
    if (status == PS_OK)
        status = check_version(t, version, error);
    if (status != PS_OK)
        return status;
    if (t->config.scenario->job.backup_workers > 0 && version > t->step)
        t->step = version;
    return start_step_or_end(t, now_ms, error);
}

/* Any late reader of lent memory shall see it: nothing but NaN. */
static void spoil_gradient(trainee *t)
{
    for (uint64_t i = 0; i < t->elements; i++)
        t->gradient[i] = NAN;
}

static ps_status collect_push(trainee *t, uint64_t now_ms, ps_error *error)
{
    session_result result;
    if (!session_finished(t->session, t->push))
        return PS_OK;
    ps_status status = collect(t, t->push, &result, error);
    t->pushing = false;
    if (status != PS_OK)
        return status;
    spoil_gradient(t);
    if (of_worker(t)->style == STYLE_PUSH_PULL)
        return end_step(t, result.step, now_ms, error);
    if (of_worker(t)->leaves_early && t->step + 1 == t->steps) {
        t->step++;
        return start_step_or_end(t, now_ms, error);
    }
    t->phase = PHASE_PULLING;
    return t->pulling ? PS_OK : submit_pull(t, t->step + 1, false, error);
}

static ps_status after_pull(trainee *t, const session_result *result, uint64_t now_ms, ps_error *error)
{
    ps_status status;
    switch (t->phase) {
    case PHASE_SETTLING: /* it has to see what has become of it */
        t->phase = PHASE_JOINING;
        return PS_OK;
    case PHASE_STARTING:
        status = check_version(t, result->step, error);
        return status == PS_OK ? start_step_or_end(t, now_ms, error) : status;
    case PHASE_PULLING:
        return end_step(t, result->step, now_ms, error);
    case PHASE_CONCLUDING:
        status = check_final(t, error);
        return status == PS_OK ? submit_finish(t, error) : status;
    case PHASE_EVALUATING:
        t->phase = PHASE_PAUSING;
        t->ready_ms = now_ms + pause_ms(t);
        if (!result->job_finished)
            return PS_OK;
        status = check_final(t, error);
        return status == PS_OK ? submit_finish(t, error) : status;
    case PHASE_FINISHING:
        if (result->once_more)
            return submit_finish(t, error);
        t->phase = PHASE_DONE;
        return PS_OK;
    default: /* PHASE_LEAVING */
        t->phase = PHASE_DONE;
        return PS_OK;
    }
}

static ps_status collect_pull(trainee *t, uint64_t now_ms, ps_error *error)
{
    session_result result;
    if (!session_finished(t->session, t->pull))
        return PS_OK;
    ps_status status = collect(t, t->pull, &result, error);
    t->pulling = false;
    return status == PS_OK ? after_pull(t, &result, now_ms, error) : status;
}

static ps_status begin_evaluation(trainee *t, ps_error *error)
{
    t->phase = PHASE_EVALUATING;
    return submit_pull(t, 0, false, error);
}

/* As ps_leave and ps_enter. */
static ps_status settle(trainee *t, ps_error *error)
{
    const session_request change = {.type = t->config.stands_in ? WIRE_LEAVE : WIRE_ENTER};
    t->phase = PHASE_SETTLING;
    t->pulling = true;
    return submit(t, &change, &t->pull, error);
}

/* As settle_membership and begin_where_joined of worker/trainer.c: one that enters begins with the first step
 * in which it takes part. */
static ps_status after_join(trainee *t, ps_error *error)
{
    t->has_joined = true;
    if (t->config.role == WIRE_EVALUATOR)
        return begin_evaluation(t, error);
    const members_list *list = trainee_members(t);
    if (t->config.scenario->shrinks && t->config.index > 0 && !t->too_late &&
        members_include(list, t->config.index, MEMBERS_NEVER) == t->config.stands_in)
        return settle(t, error);
    t->too_late = false;
    t->steps =
        t->config.scenario->shrinks ? scenario_last_step(t->config.scenario, list) : of_worker(t)->steps;
    const ps_status heeded = heed_end(t, t->step, error);
    if (heeded != PS_OK)
        return heeded;
    if (!has_step(t, t->step + 1) && has_later_step(t))
        return await_next_step(t, error);
    if (!has_step(t, t->step + 1) && t->step < t->steps)
        t->step = t->steps; /* nothing is left to do */
    t->phase = PHASE_STARTING;
    return submit_pull(t, 0, false, error);
}

/* The ps have gone back: what is open is void, but what is lent has to come back. */
static ps_status retreat(trainee *t)
{
    session_result unused;
    t->phase = PHASE_RETREATING;
    t->went_back = true;
    t->too_late = false;
    if ((t->pushing && !session_finished(t->session, t->push)) ||
        (t->pulling && !session_finished(t->session, t->pull)))
        return PS_OK;
    if (t->pushing)
        session_collect(t->session, t->push, &unused, NULL);
    if (t->pulling)
        session_collect(t->session, t->pull, &unused, NULL);
    t->pushing = t->pulling = false;
    spoil_gradient(t);
    session_resume(t->session);
    t->phase = PHASE_JOINING;
    return PS_OK;
}

/* One move, if there is one to make. */
static ps_status move(trainee *t, uint64_t now_ms, ps_error *error)
{
    if (session_rolled_back(t->session) && t->phase != PHASE_DONE)
        return retreat(t);
    switch (t->phase) {
    case PHASE_JOINING:
        return session_joined(t->session, &t->step) ? after_join(t, error) : PS_OK;
    case PHASE_COMPUTING:
        return now_ms >= t->ready_ms ? submit_push(t, error) : PS_OK;
    case PHASE_PAUSING:
        return now_ms >= t->ready_ms ? begin_evaluation(t, error) : PS_OK;
    case PHASE_BACKWARD:
        return make_tensor_ready(t, error);
    case PHASE_PUSHING:
        return collect_push(t, now_ms, error);
    case PHASE_DONE:
        return PS_OK;
    default:
        return collect_pull(t, now_ms, error);
    }
}

/* As ps_finish. */
static void give_up_at_last(trainee *t, uint64_t now_ms)
{
    bool finishing = t->phase == PHASE_FINISHING || t->phase == PHASE_LEAVING;
    if (t->heard || !finishing)
        t->heard_ms = now_ms;
    t->heard = false;
    if (now_ms - t->heard_ms < TRAINEE_FINISH_MS)
        return;
    t->phase = PHASE_DONE;
    t->gave_up = true;
}

ps_status trainee_tick(trainee *t, uint64_t now_ms, ps_error *error)
{
    session_tick(t->session, now_ms);
    ps_status status = session_failure(t->session, error);
    phase before;
    do {
        before = t->phase;
        if (status == PS_OK)
            status = move(t, now_ms, error);
    } while (status == PS_OK && t->phase != before);
    give_up_at_last(t, now_ms);
    return status;
}

void trainee_dismiss_oracle(trainee *t)
{
    t->config.oracle = NULL;
}

void trainee_receive(trainee *t, uint32_t server, wire_message **message)
{
    t->heard = true;
    session_receive(t->session, server, message);
}

/* As worker/pulse.c. */
static wire_message *make_heartbeat(const trainee *t)
{
    wire_message *m = wire_create(WIRE_HEARTBEAT, 0);
    if (!m)
        return NULL;
    m->job = session_fingerprint(t->session);
    m->role = t->config.role;
    m->index = t->config.index;
    m->incarnation = session_incarnation(t->session);
    return m;
}

wire_message *trainee_next(trainee *t, uint32_t server, uint64_t now_ms)
{
    if (t->phase == PHASE_DONE) /* it has gone */
        return NULL;
    const uint32_t interval_ms = session_heartbeat_ms(t->session);
    if (!t->has_joined || interval_ms == 0 || now_ms < t->beat_ms[server])
        return session_next(t->session, server, now_ms);
    t->beat_ms[server] = now_ms + interval_ms;
    return make_heartbeat(t);
}

bool trainee_lost_worker(trainee *t, uint32_t *worker)
{
    return session_lost_worker(t->session, worker);
}

const members_list *trainee_members(const trainee *t)
{
    return session_members(t->session);
}

uint64_t trainee_end_step(const trainee *t)
{
    return session_end_step(t->session);
}

uint64_t trainee_computed(const trainee *t)
{
    return t->computed;
}

bool trainee_has_finished(const trainee *t)
{
    return t->phase == PHASE_FINISHING || t->phase == PHASE_LEAVING || t->phase == PHASE_DONE;
}

bool trainee_concludes(const trainee *t)
{
    return t->phase == PHASE_CONCLUDING;
}

bool trainee_said_all(const trainee *t, bool twice)
{
    return t->phase == PHASE_LEAVING || (t->phase == PHASE_FINISHING && !twice);
}

bool trainee_went_back(const trainee *t)
{
    return t->went_back;
}

bool trainee_gave_up(const trainee *t)
{
    return t->gave_up;
}

bool trainee_done(const trainee *t)
{
    return t->phase == PHASE_DONE;
}

void trainee_describe(const trainee *t, char *text, size_t bytes)
{
    static const char *const names[] = {
#define PHASE_TEXT(name, text) text,
        PHASE_LIST(PHASE_TEXT)
#undef PHASE_TEXT
    };
    snprintf(text, bytes, "%s %u is %s after step %llu", wire_role_name(t->config.role), t->config.index,
             names[t->phase], (unsigned long long)t->step);
}
