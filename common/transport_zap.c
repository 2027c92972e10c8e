/* transport_zap.c - see transport_zap.h.
 *
 * Threads: the handler's owns the socket and reads the file; `lock` is for the list, which others look into.
 */
#include "common/transport_zap.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zmq.h>

#include "common/file.h"
#include "common/log.h"
#include "common/log_limit.h"
#include "common/path.h"
#include "common/thread.h"

enum {
    LOOK_MS = 500, /* between looks at the file */
    CREDENTIAL_BYTES = 32,
    PART_BYTES = 256, /* of each of a request's frames */
};

enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, PARTS };

struct zap {
    void *socket;
    char path[PATH_BYTES];
    struct stat seen; /* the file that the list was read from */
    log_limit refusals;
    pthread_t thread;
    pthread_mutex_t lock;
    allow_list list;
};

/* ---- the list ---- */

static ps_status load(zap *z, ps_error *error)
{
    allow_list list;
    ps_status status = allow_list_read(z->path, &list, error);
    if (status != PS_OK)
        return status;
    pthread_mutex_lock(&z->lock);
    allow_list before = z->list;
    z->list = list;
    pthread_mutex_unlock(&z->lock);
    allow_list_fini(&before);
    return PS_OK;
}

static void look(zap *z)
{
    struct stat now;
    ps_error error;
    if (stat(z->path, &now) != 0 || file_is_same(&now, &z->seen))
        return; /* where it is gone, as for a moment it may be, the list stays */
    z->seen = now;
    if (load(z, &error) == PS_OK)
        log_info("%s has changed: %u keys are let in", z->path, z->list.count);
    else
        log_warning("the list of keys stays as it was: %s", error.text);
}

bool zap_find(zap *z, const char *key, allow_entry *entry)
{
    pthread_mutex_lock(&z->lock);
    const allow_entry *found = allow_list_find(&z->list, key);
    if (found)
        *entry = *found;
    pthread_mutex_unlock(&z->lock);
    return found != NULL;
}

/* ---- ZeroMQ's questions ---- */

typedef struct {
    char bytes[PART_BYTES];
    size_t size;
} part;

/* Takes a request of exactly PARTS frames; false: it was none, or the context is at its end (errno). */
static bool receive_request(void *socket, part *parts)
{
    int more = 1, count = 0;
    for (; more; count++) {
        part beyond;
        part *p = count < PARTS ? &parts[count] : &beyond;
        const int got = zmq_recv(socket, p->bytes, sizeof p->bytes, 0);
        if (got < 0)
            return false;
        p->size = (size_t)got < sizeof p->bytes ? (size_t)got : sizeof p->bytes;
        size_t bytes = sizeof more;
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &bytes);
    }
    errno = 0;
    return count == PARTS;
}

static bool says(const part *p, const char *text)
{
    return p->size == strlen(text) && memcmp(p->bytes, text, p->size) == 0;
}

static void send_part(void *socket, const char *text, int flags)
{
    zmq_send(socket, text, strlen(text), flags);
}

static bool is_allowed(zap *z, const part *parts, char *key)
{
    allow_entry entry;
    return says(&parts[VERSION], "1.0") && says(&parts[MECHANISM], "CURVE") &&
           parts[CREDENTIALS].size == CREDENTIAL_BYTES &&
           zmq_z85_encode(key, (const uint8_t *)parts[CREDENTIALS].bytes, CREDENTIAL_BYTES) &&
           zap_find(z, key, &entry);
}

static void say_refused(zap *z, const part *address, const char *key)
{
    uint64_t held;
    if (!log_limit_pass(&z->refusals, &held))
        return;
    log_warning("refused a connection from %.*s: its key %s is not in %s", (int)address->size, address->bytes,
                key, z->path);
    if (held > 0)
        log_warning("refused %llu connections more", (unsigned long long)held);
}

/* `parts` NULL: the request was none. */
static void answer(zap *z, const part *parts)
{
    char key[KEY_TEXT + 1] = "";
    const bool allowed = parts && is_allowed(z, parts, key);
    if (!allowed && parts)
        say_refused(z, &parts[ADDRESS], key);
    send_part(z->socket, "1.0", ZMQ_SNDMORE);
    zmq_send(z->socket, parts ? parts[REQUEST_ID].bytes : "", parts ? parts[REQUEST_ID].size : 0,
             ZMQ_SNDMORE);
    send_part(z->socket, allowed ? "200" : "400", ZMQ_SNDMORE);
    send_part(z->socket, allowed ? "" : "this key is not let in", ZMQ_SNDMORE);
    send_part(z->socket, allowed ? key : "", ZMQ_SNDMORE); /* becomes the property User-Id of each message */
    send_part(z->socket, "", 0);
}

static void *handle(void *context)
{
    zap *z = context;
    part parts[PARTS];
    for (;;) {
        errno = 0;
        const bool whole = receive_request(z->socket, parts);
        if (errno == ETERM)
            break;
        look(z); /* before it answers: who has just been listed is let in */
        if (whole)
            answer(z, parts);
        else if (errno == 0)
            answer(z, NULL);
    }
    zmq_close(z->socket);
    return NULL;
}

/* ---- beginning and end ---- */

static ps_status open_socket(zap *z, void *context, ps_error *error)
{
    z->socket = zmq_socket(context, ZMQ_REP);
    if (!z->socket)
        return ps_fail(error, PS_EIO, "cannot open a socket: %s", zmq_strerror(errno));
    const int none = 0, patience_ms = LOOK_MS;
    zmq_setsockopt(z->socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(z->socket, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
    if (zmq_bind(z->socket, "inproc://zeromq.zap.01") != 0)
        return ps_fail(error, PS_EIO, "cannot answer for keys: %s", zmq_strerror(errno));
    return PS_OK;
}

ps_status zap_start(void *context, const char *allow_path, zap **out, ps_error *error)
{
    *out = NULL;
    zap *z = calloc(1, sizeof *z);
    if (!z)
        return ps_fail(error, PS_ENOMEM, "out of memory for the list of keys");
    pthread_mutex_init(&z->lock, NULL);
    ps_status status = path_make(z->path, error, "%s", allow_path);
    if (status == PS_OK && stat(z->path, &z->seen) != 0)
        memset(&z->seen, 0, sizeof z->seen); /* reading it says why */
    if (status == PS_OK)
        status = load(z, error);
    if (status == PS_OK)
        status = open_socket(z, context, error);
    int failed = status == PS_OK ? thread_start(&z->thread, handle, z) : 0;
    if (failed)
        status = ps_fail(error, PS_ENOMEM, "no thread for the list of keys: %s", strerror(failed));
    if (status == PS_OK) {
        *out = z;
        return PS_OK;
    }
    if (z->socket)
        zmq_close(z->socket);
    allow_list_fini(&z->list);
    pthread_mutex_destroy(&z->lock);
    free(z);
    return status;
}

void zap_join(zap **handle_of)
{
    zap *z = *handle_of;
    *handle_of = NULL;
    if (!z)
        return;
    pthread_join(z->thread, NULL);
    allow_list_fini(&z->list);
    pthread_mutex_destroy(&z->lock);
    free(z);
}
