/* shard_state.h - a shard's state, and what its sources share. Private to ps/shard*.c:
 *
 *   shard.c         takes messages in, and knows their senders
 *   shard_join.c    jobs, and processes that come
 *   shard_push.c    gradients and updates
 *   shard_guard.c   deals with gradients that hold NaN or Inf
 *   shard_recovery.c  where the shard begins, goes back to, and what it keeps for that
 *   shard_journal.c   writes down what the shard takes in, and takes it in again after a restart
 *   shard_answer.c  sends answers, now or when they may leave
 *   shard_liveness.c  who is lost, and what follows
 *   shard_members.c   workers that take part no more, or again
 *   shard_wait.c    says who waits for whom
 *   shard_wind_up.c  ends before the job does
 *   shard_admin.c   does what an administrator asks for
 *   shard_view.c    shows where it is, to people
 */
#ifndef PENSTOCK_PS_SHARD_STATE_H
#define PENSTOCK_PS_SHARD_STATE_H

#include "common/partition.h"
#include "ps/consistency.h"
#include "ps/image_timer.h"
#include "ps/member.h"
#include "ps/ps_metrics.h"
#include "ps/shard.h"
#include "ps/store.h"

typedef struct outgoing {
    struct outgoing *next;
    wire_route to;
    wire_message *message;
    uint64_t position; /* in the journal, that must be durable before it leaves */
} outgoing;

/* An image that an administrator has asked for. */
typedef struct {
    uint64_t step; /* 0: none */
    bool taken;
} ordered_image;

enum { SHARD_ORDERS_MAX = 8 };

struct shard {
    shard_config config;
    pool *own_pool;   /* NULL: config.pool is someone else's */
    ps_error failure; /* status PS_OK while the job can go on */
    shard_counters counters;
    outgoing *outbox, **outbox_tail;
    uint32_t outbox_count;
    uint64_t created_ms, said_ms; /* 0 until the first tick */
    uint64_t ticked_ms;           /* when the last tick was */
    uint64_t begun_ms;            /* when it got its job */
    uint64_t
        moved_ms;    /* when something last moved: an update, or somebody who joined or finished; 0: never */
    uint64_t now_ms; /* of the message, or tick, that is being dealt with */
    char http[FIGURES_TEXT_MAX + 1]; /* where this ps shows itself; empty: nowhere */

    /* From the first HELLO on. */
    bool has_job;
    job_config job;
    uint64_t fingerprint;
    partition partition;
    uint32_t slice_count; /* of this shard */
    consistency consistency;
    store *store;
    member *workers;                           /* (job.workers) */
    member *evaluators;                        /* (job.evaluators) */
    store_gradient *gradients;                 /* (job.workers) scratch */
    char (*server_http)[FIGURES_TEXT_MAX + 1]; /* (job.servers) where they show themselves, as workers tell */
    uint64_t epoch;                            /* of the last RESTORE; 0: none */
    bool last_image_taken;                     /* after everyone's last update */
    uint64_t heard_ms;                         /* when a worker's last message came; 0: none yet */
    bool abandoned;      /* the job is at its end, and no worker has said anything for a while */
    bool at_the_end;     /* where it began, the job had come to its end, and nothing was pushed since */
    bool winding_up;     /* told to end before the job does */
    bool held;           /* ... and so far that nothing is applied or answered any more */
    uint64_t wind_up_ms; /* when it was told */
    image_timer images;  /* when the next one is taken */
    ordered_image orders[SHARD_ORDERS_MAX];
    uint64_t end_step;     /* of ps 0: an administrator ends the job after this one; 0: none does */
    bool end_is_known;     /* the chief knows of it */
    uint64_t end_told_ms;  /* when it was told unasked, or the end was ordered */
    wire_route stop_from;  /* who has asked for it last */
    uint64_t stop_request; /* ... as what; 0: nobody has */

    /* With a journal. */
    uint64_t position;      /* of the last record appended */
    bool replaying;         /* what is taken in stands in the journal already */
    uint32_t taken_over;    /* carried records taken in so far */
    image *held_image;      /* goes to the archive once its segment is durable; or NULL */
    uint64_t held_position; /* of that segment */
    uint64_t base_step;     /* of the last segment */
    uint64_t kept_step;     /* of the newest image known to be kept; 0: none */
    uint64_t in_vain;       /* images since that was found to be kept */
    uint64_t
        behind_ms; /* since when the journal has made nothing durable, though it should; 0: it keeps up */
    uint64_t behind_at; /* what was durable then */
};

/* Requests of one member that may wait at a time, and answers to it that may be unsettled. */
static inline uint32_t shard_requests_max(const shard *s)
{
    return SHARD_REQUESTS_MAX + s->slice_count;
}

/* ---- shard.c ---- */

/* Is the sender, by its role and index, of this job? */
bool shard_has_member(const shard *s, const wire_message *message);

/* The sender of a message that is of this job. */
member *shard_member_of(const shard *s, const wire_message *message);

/* That message is answered by an error. */
void shard_count_refusal(shard *s, const wire_message *message, ps_status status);

/* Is there a member of that role and index? PS_EMISMATCH. */
ps_status shard_check_is_of_job(const job_config *job, const wire_message *message, ps_error *error);

/* A member has finished. Like shard_take_incarnation and shard_take_part a change of state for one type of
 * message that the journal holds: nothing is applied yet, and nobody is answered. */
void shard_take_finish(shard *s, member *m, const wire_message *finish);

/* Frees what came with the job. */
void shard_drop_job(shard *s);

/* ---- shard_join.c ---- */

/* A new incarnation of a worker: what the one before left half done is forgotten. */
void shard_take_incarnation(shard *s, member *m, const wire_message *hello);

/* Takes in the job, or the process, that says HELLO, and welcomes it. Fails with what is refused, and why. */
ps_status shard_handle_hello(shard *s, wire_message *hello, const wire_route *from, uint64_t now_ms,
                             ps_error *error);

/* ---- shard_push.c ---- */

/* Of the slices, and payloads, that a message names. PS_EMISMATCH, PS_EPROTOCOL. */
ps_status shard_check_slices(const shard *s, const wire_message *message, ps_error *error);

/* A part of a gradient is judged and, if it is fresh, taken in. PS_EPROTOCOL, and then nothing has changed;
 * PS_ENOMEM: the job has failed. */
ps_status shard_take_part(shard *s, member *m, const wire_message *part, arrival *verdict, ps_error *error);

/* A push of a worker, whose slices have been checked. Takes the message if it stays open. As shard_take_part.
 */
ps_status shard_handle_push(shard *s, member *m, wire_message **message, const wire_route *from,
                            uint64_t now_ms, ps_error *error);

/* Applies what is ready, and answers whom it can. */
void shard_apply_ready(shard *s);

/* ---- shard_recovery.c ---- */

/* Makes the store, at the newest step of the archive, or at the start. PS_EMISMATCH, PS_EIO: the archive
 * cannot be used; PS_ENOMEM. */
ps_status shard_begin(shard *s, ps_error *error);

/* Goes to a step, 0: the start, by the shard's `own` image or that of a cut which all kept. On failure, but
 * for PS_ENOMEM, the shard is at the start. */
ps_status shard_go_to(shard *s, uint64_t step, bool own, ps_error *error);

/* All shards are at the step of this RESTORE, as is this one by now, and have its list of members: what those
 * had begun is void. PS_ENOMEM: the job has failed. */
ps_status shard_take_restore(shard *s, const wire_message *restore);

/* What the members had begun is void; they themselves are still there. */
void shard_forget_requests(shard *s);

/* Tells all members unasked where the shard is, so that they ask all of them. */
void shard_announce_to_all(shard *s);

/* After an update, or when a worker has finished: takes an image if it is time for one. */
void shard_take_image(shard *s);

/* One more, of where the shard is, if none is of there. */
void shard_take_last_image(shard *s);

/* Is there an image of the end of the job, or is one being kept? No other is taken after it. */
static inline bool shard_has_last_image(const shard *s)
{
    return s->last_image_taken || s->at_the_end;
}

/* Has every image been kept, or failed to be? */
bool shard_has_kept_images(const shard *s);

/* Might its members have to go back with it after they have said that they are done? Then they do not go
 * before all ps have told them so, and they have said once more that they know. */
bool shard_keeps_members(const shard *s);

/* Must a FINISH wait, for the others' end or for the last image? Who has been told that the job is over
 * cannot come back to replay it. */
bool shard_finish_waits(const shard *s);

/* Tells the chief to look where all ps are: a worker finds that they do not fit together. */
void shard_alert_chief(shard *s);

/* Sets `abandoned`. Of a shard with a job. */
void shard_look_for_the_end(shard *s, uint64_t now_ms);

/* Will no worker need this shard again? */
bool shard_all_gone(const shard *s);

/* Is nobody at work any more? */
bool shard_is_over(const shard *s);

/* RESTORE of the chief. */
ps_status shard_handle_restore(shard *s, const wire_message *restore, const wire_route *from,
                               ps_error *error);

/* Fills in what a WELCOME says of the shard's place. */
void shard_describe_place(shard *s, wire_message *welcome);

/* ---- shard_journal.c ---- */

/* Where there is a journal of this shard, makes the store as it was. PS_EMISMATCH: it is of another job. All
 * else is the shard's failure too. */
ps_status shard_journal_resume(shard *s, bool *resumed, ps_error *error);

/* The shard is what `leap` says it is: at an image just taken, or where it has begun or gone to anew. */
void shard_journal_begin(shard *s, bool leap);

/* Writes a message down, before the shard acts on it. PS_ENOMEM: the job has failed. */
ps_status shard_journal_append(shard *s, const wire_message *message, ps_error *error);

/* Gives the image to the archive, with a journal once a segment begins with it. */
void shard_keep_image(shard *s, image **taken);

/* Has the journal got what an image waited for? And does it keep up? */
void shard_journal_look(shard *s, uint64_t now_ms);

/* Is everything durable that was taken in up to this position? */
bool shard_journal_has(const shard *s, uint64_t position);

/* ---- shard_answer.c ---- */

/* The job cannot go on; the first reason counts. */
void shard_fail_job(shard *s, const ps_error *why);
void shard_fail_out_of_memory(shard *s);

/* Fills in what every answer carries and queues it. Takes `m`; NULL means that it could not be made. */
void shard_send_answer(shard *s, wire_message *m, const wire_message *request, const wire_route *to);

/* An answer without slices; `text` may be NULL. */
void shard_send_plain(shard *s, wire_type type, const wire_message *request, const wire_route *to,
                      const char *text);
void shard_send_error(shard *s, const wire_message *request, const wire_route *to, const ps_error *why);

/* The request is not here; says also whether the member's memory can be read. */
void shard_send_resend(shard *s, const wire_message *request, const wire_route *to);

/* Says who keeps this open request waiting, and what else its sender should know by now. */
void shard_send_pending(shard *s, const open_request *r);

/* The same to the chief, whatever it waits for, before it asks: there is something for it to do. */
void shard_hurry_chief(shard *s);

/* Sends what the request asks for: weights or ACK. */
void shard_answer(shard *s, const wire_message *request, const wire_route *to);

/* Answers now or, if it must wait, keeps the request. */
void shard_answer_or_open(shard *s, member *m, wire_message **message, const wire_route *from,
                          uint64_t now_ms);

/* Answers every open request, of one or of all, that may be answered by now. */
void shard_answer_member(shard *s, member *m);
void shard_answer_all(shard *s);

/* The workers that have not finished, but for the sender of `request`. */
void shard_others_at_work(const shard *s, const wire_message *request, worker_set *others);

/* ---- shard_liveness.c ---- */

/* A sign of life of a member. */
void shard_note_alive(shard *s, member *m, const wire_message *sign, uint64_t now_ms);

/* HEARTBEAT of anybody. */
/* Keeps what a HEARTBEAT or FINISH tells of its sender. */
void shard_take_figures(shard *s, member *m, const wire_message *message);
void shard_handle_heartbeat(shard *s, const wire_message *heartbeat, uint64_t now_ms);

/* The job has come on. */
void shard_note_progress(shard *s);

/* Who is lost, and is the deadline over? */
void shard_watch(shard *s, uint64_t now_ms);

/* ---- shard_members.c ---- */

/* Does this worker take part in the next step, or in later ones? */
bool shard_is_member(const shard *s, uint32_t worker);

/* It has been lost for longer than its grace time: it is not waited for any more where that can be; the chief
 * is told who asks. Does nothing for the chief itself. */
void shard_give_up(shard *s, uint32_t worker, uint64_t silent_ms);

/* It has been heard of again. */
void shard_take_up_again(shard *s, uint32_t worker);

/* After the chief has finished, or has not any more. */
void shard_note_absences(shard *s);

/* Has somebody finished, so that no further step may come? */
bool shard_is_near_the_end(const shard *s);

/* 1 + a worker that is given up and that this request waits for; 0: none. */
uint32_t shard_lost_worker(const shard *s, const wire_message *request);

/* Is the list that a message tells of, if it does, one that this job may have? PS_EPROTOCOL. */
ps_status shard_check_members(const shard *s, const wire_message *message, ps_error *error);

/* This is the list of members, of a later version; it is taken over. What the members had begun is void. */
void shard_take_members(shard *s, members_list *list);

/* Takes the list that a HELLO tells of, if it is newer and not too late. PS_EPROTOCOL: it is none; PS_ENOMEM.
 */
ps_status shard_hear_of_members(shard *s, const wire_message *hello, ps_error *error);

/* LEAVE or ENTER. PS_EPROTOCOL: from or to the wrong one; PS_ESTATE: the job is at its end; PS_ELIMIT;
 * PS_ENOMEM. */
ps_status shard_handle_change(shard *s, const wire_message *message, const wire_route *from, ps_error *error);

/* ---- shard_wind_up.c ---- */

/* After an update, or as time passes. */
void shard_go_on_winding_up(shard *s, bool has_applied);

/* ---- shard_admin.c ---- */

/* CHECKPOINT or STOP. PS_EMISMATCH: it is for another ps; PS_EREJOIN: there is no job yet, or no more since
 * this ps has restarted: ask again; PS_ESTATE: the job is at its end, or this ps told to end;
 * PS_ENOENT: the step has been passed; PS_ECONFIG: no checkpoints are kept here; PS_EIO: this one could not
 * be; PS_EPROTOCOL. */
ps_status shard_handle_order(shard *s, const wire_message *order, const wire_route *from, ps_error *error);

/* Is the present step one of which an image is to be taken, and has not been? */
bool shard_image_is_ordered(const shard *s);

/* It has been now, whether or not it was ordered. */
void shard_note_image(shard *s);

/* The shard goes to another step: who asked for images asks again. */
void shard_forget_orders(shard *s);

/* The end that an answer to this request tells of; 0: none. */
uint64_t shard_end_for(const shard *s, const wire_message *request);

/* The chief tells in whatever it sends that it knows of a STOP, which this ps may have forgotten. */
void shard_hear_of_end(shard *s, const wire_message *message);

/* Must this request wait until the chief has joined, and told whether it knows of an end? */
bool shard_awaits_word_of_end(const shard *s, const wire_message *request);

/* ---- shard_guard.c ---- */

/* Deals with the gradient, whole by now, of a worker that said itself that it holds NaN or Inf: it is left
 * out, or the job fails. */
void shard_guard_flagged(shard *s, uint32_t worker);

/* Deals with an update that found NaN or Inf in spite of what its contributors said (store_apply): finds out
 * whose they are. Their gradients are still held. */
void shard_guard_applied(shard *s, uint64_t step, const worker_set *contributors);

/* ---- shard_wait.c ---- */

/* What the whole shard waits for, longest: a request, or somebody who has not joined or finished. */
void shard_describe_stall(const shard *s, char *text, size_t bytes);

/* "step 17 waits for worker 2": who keeps this request waiting? */
void shard_describe_wait(const shard *s, const wire_message *request, char *text, size_t bytes);

#endif
