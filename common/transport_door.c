/* transport_door.c - see transport_door.h. */
#include "common/transport_door.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/thread.h"
#include "common/transport_state.h"
#include "common/visitors.h"

enum {
    IDLE_MS = 500,     /* without anybody to look at */
    LOOKS_PER_MS = 20, /* where there are many: no more than some hundredths of a processor's time */
    LEFT_MS = 10000,   /* for what those who left had on their way, if no time is known to be late enough */
    FILES_MAX = FLOW_FILES_MAX, /* descriptors that are wanted at most */
    FILES_ELSEWHERE = 128,      /* of them, for all else than connections; at most half */
    /* Of a CURVE handshake: what the one who connects sends is a tenth of this; what it gets before it is let
     * in (a greeting, WELCOME, perhaps ERROR), and no more, is less than the other. */
    HANDSHAKE_BYTES = 8192,
    HANDSHAKE_ANSWER_BYTES = 250,
};

/* KNOWN may be noted before the thread has heard of the connection: a first message can be quicker. */
typedef enum { NOBODYS, A_STRANGERS, KNOWN } acquaintance;

struct door {
    void *monitor; /* the thread's */
    flow *flows;
    bool has_keys;
    uint32_t open_max; /* connections */
    pthread_t thread;
    atomic_uint_least64_t each_bytes, all_bytes; /* that may be on their way */
    atomic_uint empties;                         /* how often it was seen that no message waits */
    _Atomic(acquaintance) whose[FILES_MAX];      /* by descriptor: the connection is */
    struct { /* the thread's: bytes of those who left, since the last change of `empties` and before it */
        uint64_t now, before, since_ms;
        unsigned empties;
    } left;
    pthread_mutex_t lock; /* of what follows */
    visitors strangers;
    uint32_t open;                     /* connections, strangers or not */
    int open_end;                      /* no descriptor of theirs is so high */
    uint8_t open_files[FILES_MAX / 8]; /* a bit for the descriptor of each */
    transport_handshakes handshakes;
};

/* ---- the book ---- */

static visitor *find(door *d, int fd)
{
    for (uint32_t i = 0; i < VISITORS_MAX; i++)
        if (d->strangers.places[i].here && d->strangers.places[i].fd == fd)
            return &d->strangers.places[i];
    return NULL;
}

/* Says whose it was before. */
static acquaintance note_whose(door *d, int fd, acquaintance whose)
{
    if (fd < 0 || fd >= FILES_MAX)
        return NOBODYS;
    return atomic_exchange_explicit(&d->whose[fd], whose, memory_order_relaxed);
}

/* Likewise, and who had that descriptor is here no more. */
static acquaintance forget(door *d, int fd, acquaintance whose)
{
    visitor *who = find(d, fd);
    if (who)
        visitors_exit(&d->strangers, who);
    return note_whose(d, fd, whose);
}

static bool find_peer(int fd, struct sockaddr_storage *from)
{
    socklen_t bytes = sizeof *from;
    return getpeername(fd, (struct sockaddr *)from, &bytes) == 0;
}

/* Of connections that end because a socket listens no more nothing is heard: the descriptor may by now be
 * that of a file, or of who listens. */
static bool hang_up(int fd)
{
    const struct linger not_at_all = {.l_onoff = 1};
    struct sockaddr_storage from;
    if (!find_peer(fd, &from))
        return false;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &not_at_all, sizeof not_at_all);
    shutdown(fd, SHUT_RDWR);
    return true;
}

/* Who was told to leave need not become known any more: it counts as if it were. */
static void turn_away(door *d, int fd)
{
    note_whose(d, fd, KNOWN);
    d->handshakes.failed[HANDSHAKE_TURNED_AWAY] += hang_up(fd);
}

static void note_open(door *d, int fd, bool is_open)
{
    if (fd < 0 || fd >= FILES_MAX)
        return;
    uint8_t *byte = &d->open_files[fd / 8];
    const uint8_t bit = (uint8_t)(1u << fd % 8);
    const bool was = *byte & bit;
    *byte = is_open ? *byte | bit : *byte & (uint8_t)~bit;
    d->open += (uint32_t)is_open - (uint32_t)was;
    if (is_open && fd >= d->open_end)
        d->open_end = fd + 1;
}

static void admit_stranger(door *d, int fd, const struct sockaddr_storage *from)
{
    visitor *other = visitors_make_room(&d->strangers);
    if (other)
        turn_away(d, other->fd);
    if (!visitors_enter(&d->strangers, (const struct sockaddr *)from, fd, clock_monotonic_ms()))
        turn_away(d, fd);
}

static void admit(door *d, int fd)
{
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    note_open(d, fd, true);
    const bool has_spoken = forget(d, fd, A_STRANGERS) == KNOWN;
    if (!find_peer(fd, &from))
        return; /* gone already */
    if (d->open > d->open_max || d->left.now + d->left.before > atomic_load(&d->all_bytes) / 2)
        turn_away(d, fd);
    else if (has_spoken)
        note_whose(d, fd, KNOWN);
    else
        admit_stranger(d, fd, &from);
}

static void note_left(door *d, int fd)
{
    note_open(d, fd, false);
    forget(d, fd, NOBODYS);
    d->left.now += flow_left(d->flows, fd);
}

/* The socket listens no more (transport_rotate.c), and all that came in by it ends, of which ZeroMQ does not
 * tell. */
static void begin_anew(door *d)
{
    for (int fd = 0; fd < d->open_end; fd++) {
        d->left.now += flow_left(d->flows, fd);
        note_whose(d, fd, NOBODYS);
    }
    d->open = 0;
    d->open_end = 0;
    memset(d->open_files, 0, sizeof d->open_files);
    for (uint32_t i = 0; i < VISITORS_MAX; i++)
        if (d->strangers.places[i].here)
            visitors_exit(&d->strangers, &d->strangers.places[i]);
}

static void note(door *d, const transport_news *news)
{
    pthread_mutex_lock(&d->lock);
    if (news->event == ZMQ_EVENT_ACCEPTED) {
        admit(d, (int)news->value);
    } else if (news->event == ZMQ_EVENT_DISCONNECTED) {
        note_left(d, (int)news->value);
    } else if (news->event == ZMQ_EVENT_CLOSED) {
        begin_anew(d);
    } else {
        transport_news_count(news, &d->handshakes);
    }
    pthread_mutex_unlock(&d->lock);
}

/* Has it sent more than a handshake, without having been told that it is let in? */
static bool floods(int fd)
{
    struct tcp_info info = {0};
    socklen_t bytes = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0 &&
           bytes >= offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received &&
           info.tcpi_bytes_received > HANDSHAKE_BYTES && info.tcpi_bytes_acked < HANDSHAKE_ANSWER_BYTES;
}

static void look_at_strangers(door *d)
{
    for (uint32_t i = 0; i < VISITORS_MAX; i++) {
        visitor *who = &d->strangers.places[i];
        if (!who->here || who->leaving || !floods(who->fd))
            continue;
        visitors_dismiss(&d->strangers, who);
        turn_away(d, who->fd);
    }
}

/* Until ZeroMQ tells of its end, what it has on its way counts as that of one who left. */
static void cut(door *d, int fd)
{
    note_open(d, fd, false);
    d->left.now += flow_left(d->flows, fd);
    d->handshakes.beyond_inbox += hang_up(fd);
}

/* What left before no message waited has been taken. */
static void forget_left(door *d, uint64_t now_ms)
{
    const unsigned empties = atomic_load_explicit(&d->empties, memory_order_relaxed);
    if (empties == d->left.empties && now_ms - d->left.since_ms < LEFT_MS)
        return;
    d->left.before = d->left.now;
    d->left.now = 0;
    d->left.empties = empties;
    d->left.since_ms = now_ms;
}

/* Where there is too much because of those who left, who has little is not to suffer for it: to cut it would
 * not help. */
static void look_at_flows(door *d)
{
    const uint64_t each_max = atomic_load(&d->each_bytes), all_max = atomic_load(&d->all_bytes);
    uint64_t all = d->left.now + d->left.before, most = 0;
    int whose = -1;
    for (int fd = 0; fd < d->open_end; fd++) {
        if (!(d->open_files[fd / 8] & 1u << fd % 8))
            continue;
        const uint64_t waiting = flow_waiting(d->flows, fd);
        if (waiting > each_max) {
            cut(d, fd);
            continue;
        }
        all += waiting;
        if (waiting > most) {
            most = waiting;
            whose = fd;
        }
    }
    if (all > all_max && most > all_max / 2 / (d->open + 1))
        cut(d, whose);
}

static void look(door *d, uint64_t now_ms)
{
    pthread_mutex_lock(&d->lock);
    if (d->has_keys && d->strangers.here > 0)
        look_at_strangers(d);
    forget_left(d, now_ms);
    look_at_flows(d);
    pthread_mutex_unlock(&d->lock);
}

/* Time to the next look. */
static int pause_of(door *d)
{
    pthread_mutex_lock(&d->lock);
    const uint32_t open = d->open;
    pthread_mutex_unlock(&d->lock);
    return open == 0                                 ? IDLE_MS
           : open < LOOKS_PER_MS * TRANSPORT_LOOK_MS ? TRANSPORT_LOOK_MS
                                                     : (int)(open / LOOKS_PER_MS);
}

static void *keep(void *context)
{
    door *d = context;
    uint64_t looked_ms = 0;
    int patience_ms = 0;
    for (;;) {
        const int wanted_ms = pause_of(d);
        transport_news news;
        if (wanted_ms != patience_ms) {
            zmq_setsockopt(d->monitor, ZMQ_RCVTIMEO, &wanted_ms, sizeof wanted_ms);
            patience_ms = wanted_ms;
        }
        if (transport_news_next(d->monitor, 0, &news)) {
            if (news.event == ZMQ_EVENT_MONITOR_STOPPED)
                break;
            note(d, &news);
        } else if (errno == ETERM) {
            break;
        }
        const uint64_t now_ms = clock_monotonic_ms();
        if (now_ms - looked_ms >= (uint64_t)wanted_ms) {
            look(d, now_ms);
            looked_ms = now_ms;
        }
    }
    zmq_close(d->monitor);
    return NULL;
}

/* ---- for the one that receives ---- */

void door_know(door *d, int fd)
{
    if (fd < 0 || fd >= FILES_MAX)
        return;
    acquaintance whose = atomic_load_explicit(&d->whose[fd], memory_order_relaxed);
    if (whose == KNOWN ||
        (whose == NOBODYS && atomic_compare_exchange_strong_explicit(
                                 &d->whose[fd], &whose, KNOWN, memory_order_relaxed, memory_order_relaxed)))
        return;
    pthread_mutex_lock(&d->lock);
    visitor *who = find(d, fd);
    if (who && !who->leaving)
        visitors_exit(&d->strangers, who);
    note_whose(d, fd, KNOWN);
    pthread_mutex_unlock(&d->lock);
}

void door_note_empty(door *d)
{
    atomic_fetch_add_explicit(&d->empties, 1, memory_order_relaxed);
}

void door_bound(door *d, uint64_t each_bytes, uint64_t all_bytes)
{
    atomic_store(&d->each_bytes, each_bytes);
    atomic_store(&d->all_bytes, all_bytes);
}

transport_handshakes door_count(door *d)
{
    pthread_mutex_lock(&d->lock);
    const transport_handshakes so_far = d->handshakes;
    pthread_mutex_unlock(&d->lock);
    return so_far;
}

/* ---- beginning and end ---- */

/* How many connections there may be. */
static uint32_t make_room_for_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return UINT32_MAX;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
    if (before >= limit.rlim_cur || setrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = before;
    const uint32_t files = limit.rlim_cur < FILES_MAX ? (uint32_t)limit.rlim_cur : FILES_MAX;
    return files > 2 * FILES_ELSEWHERE ? files - FILES_ELSEWHERE : files / 2;
}

ps_status door_open(void *monitor, flow *flows, bool has_keys, door **out, ps_error *error)
{
    door *d = *out = calloc(1, sizeof *d);
    int failed = d ? 0 : ENOMEM;
    if (d) {
        const uint64_t each_bytes = transport_inbox_bytes(WIRE_GATHERED_MAX);
        d->monitor = monitor;
        d->flows = flows;
        door_bound(d, each_bytes, TRANSPORT_PEERS_FIRST * each_bytes);
        d->has_keys = has_keys;
        d->open_max = make_room_for_files();
        d->strangers.most = d->open_max / 2 < VISITORS_MOST ? d->open_max / 2 : VISITORS_MOST;
        pthread_mutex_init(&d->lock, NULL);
        failed = thread_start(&d->thread, keep, d);
    }
    if (failed == 0)
        return PS_OK;
    zmq_close(monitor);
    if (d)
        pthread_mutex_destroy(&d->lock);
    free(d);
    *out = NULL;
    return ps_fail(error, PS_ENOMEM, "no thread to watch connections: %s", strerror(failed));
}

void door_close(door **door_of)
{
    door *d = *door_of;
    *door_of = NULL;
    if (!d)
        return;
    pthread_join(d->thread, NULL);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
