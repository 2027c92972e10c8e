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
    LOOK_MS = 20,          /* between looks at what strangers send */
    IDLE_MS = 500,         /* without any */
    FILES_MAX = 1 << 20,   /* descriptors that are wanted at most */
    FILES_ELSEWHERE = 128, /* of them, for all else than connections; at most half */
    /* Of a CURVE handshake: what the one who connects sends is a tenth of this; what it gets before it is let
     * in (a greeting, WELCOME, perhaps ERROR), and no more, is less than the other. */
    HANDSHAKE_BYTES = 8192,
    HANDSHAKE_ANSWER_BYTES = 250,
};

struct door {
    void *monitor; /* the thread's */
    bool has_keys;
    uint32_t open_max; /* connections */
    pthread_t thread;
    atomic_uint stranger_count;
    atomic_bool closing;
    pthread_mutex_t lock; /* of what follows */
    visitors strangers;
    uint32_t open;                     /* connections, strangers or not */
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

static void forget(door *d, int fd)
{
    visitor *who = find(d, fd);
    if (who)
        visitors_exit(&d->strangers, who);
}

static bool find_peer(int fd, struct sockaddr_storage *from)
{
    socklen_t bytes = sizeof *from;
    return getpeername(fd, (struct sockaddr *)from, &bytes) == 0;
}

/* Of connections that end because a socket listens no more nothing is heard: the descriptor may by now be
 * that of a file, or of who listens. */
static void hang_up(door *d, int fd)
{
    const struct linger not_at_all = {.l_onoff = 1};
    struct sockaddr_storage from;
    if (!find_peer(fd, &from))
        return;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &not_at_all, sizeof not_at_all);
    shutdown(fd, SHUT_RDWR);
    d->handshakes.failed[HANDSHAKE_TURNED_AWAY]++;
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
}

static void admit(door *d, int fd)
{
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    note_open(d, fd, true);
    forget(d, fd);
    if (!find_peer(fd, &from))
        return; /* gone already */
    visitor *other = visitors_make_room(&d->strangers);
    if (other)
        hang_up(d, other->fd);
    if (d->open > d->open_max ||
        !visitors_enter(&d->strangers, (const struct sockaddr *)&from, fd, clock_monotonic_ms()))
        hang_up(d, fd);
}

/* The socket listens no more (transport_rotate.c), and all that came in by it ends, of which ZeroMQ does not
 * tell. */
static void begin_anew(door *d)
{
    d->open = 0;
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
        note_open(d, (int)news->value, false);
        forget(d, (int)news->value);
    } else if (news->event == ZMQ_EVENT_CLOSED) {
        begin_anew(d);
    } else if (news->event != ZMQ_EVENT_MONITOR_STOPPED) {
        transport_news_count(news, &d->handshakes);
    }
    atomic_store(&d->stranger_count, d->strangers.here);
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

static void look(door *d)
{
    pthread_mutex_lock(&d->lock);
    for (uint32_t i = 0; i < VISITORS_MAX; i++) {
        visitor *who = &d->strangers.places[i];
        if (!who->here || who->leaving || !floods(who->fd))
            continue;
        visitors_dismiss(&d->strangers, who);
        hang_up(d, who->fd);
    }
    pthread_mutex_unlock(&d->lock);
}

static void *keep(void *context)
{
    door *d = context;
    uint64_t looked_ms = 0;
    int patience_ms = 0;
    while (!atomic_load(&d->closing)) {
        const bool looks = d->has_keys && door_has_strangers(d);
        const int wanted_ms = looks ? LOOK_MS : IDLE_MS;
        transport_news news;
        if (wanted_ms != patience_ms) {
            zmq_setsockopt(d->monitor, ZMQ_RCVTIMEO, &wanted_ms, sizeof wanted_ms);
            patience_ms = wanted_ms;
        }
        if (transport_news_next(d->monitor, 0, &news))
            note(d, &news);
        else if (errno == ETERM)
            break;
        const uint64_t now_ms = looks ? clock_monotonic_ms() : 0;
        if (looks && now_ms - looked_ms >= LOOK_MS) {
            look(d);
            looked_ms = now_ms;
        }
    }
    zmq_close(d->monitor);
    return NULL;
}

/* ---- for the one that receives ---- */

bool door_has_strangers(const door *d)
{
    return atomic_load_explicit(&d->stranger_count, memory_order_relaxed) > 0;
}

void door_know(door *d, int fd)
{
    pthread_mutex_lock(&d->lock);
    visitor *who = find(d, fd);
    if (who && !who->leaving)
        visitors_exit(&d->strangers, who);
    atomic_store(&d->stranger_count, d->strangers.here);
    pthread_mutex_unlock(&d->lock);
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

ps_status door_open(void *monitor, bool has_keys, door **out, ps_error *error)
{
    door *d = *out = calloc(1, sizeof *d);
    int failed = d ? 0 : ENOMEM;
    if (d) {
        d->monitor = monitor;
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
    atomic_store(&d->closing, true);
    pthread_join(d->thread, NULL);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
