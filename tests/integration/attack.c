/* attack.c - one kind of attack on the socket of a ps on this host, until it is told to end (SIGTERM).
 *
 *   attack KIND PORT [FILE]           see `kinds` below; FILE is what `record` has left
 *   attack record PORT FILE LISTEN    no attack, but a wire tap: what LISTEN is sent goes to PORT, and to
 * FILE attack inject PORT FILE LISTEN    likewise; once a ps has let the one who connected in, frames are
 * claimed in its name that never come. FILE is left alone
 *
 * Says "under attack" when everything has been tried once, and at the end what the ps did: how many
 * connections it took, and on how many of them it hung up, and for messages how it answered. It ends with 1
 * only if it could not do its work; whether the ps withstood is the script's to see. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bundle.h"
#include "common/curve_keys.h"
#include "common/transport.h"
#include "common/wire.h"

enum {
    CROWD = 10000,
    FEW = 64, /* of the slow, and of those who claim */
    FILES_ELSEWHERE = 64,
    PIECE_BYTES = 1 << 16,
    RECORD_MAX = 32 << 20,
    GREETING_BYTES = 64,
    LET_IN_BYTES = 270, /* that a CURVE server has sent by then, and not before */
    PAUSE_MS = 5,
};

static volatile sig_atomic_t told_to_end;

static void note_end(int number)
{
    (void)number;
    told_to_end = 1;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "attack: %s\n", what);
    exit(EXIT_FAILURE);
}

static struct {
    uint16_t port;
    bool curve;      /* the mechanism to greet with */
    unsigned crowd;  /* CROWD, or as many as this process may open */
    unsigned claims; /* of frames that never come */
    struct pollfd held[CROWD];
    unsigned count;
    uint64_t connections, hung_up, refused, answered, bytes_back;
} attack;

static uint64_t draw(void)
{
    static uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void say_under_attack(void)
{
    static bool said;
    if (!said) {
        puts("under attack");
        fflush(stdout);
    }
    said = true;
}

/* ---- connections ---- */

/* -1: none could be had just now. */
static int connect_to(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct timeval patience = {.tv_sec = 1};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        die(strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    attack.connections++;
    return fd;
}

static bool send_bytes(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        const ssize_t sent = send(fd, at, count, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        count -= (size_t)sent;
    }
    return true;
}

static const uint8_t ready[] = "\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06"
                               "DEALER";

static void greet(int fd)
{
    uint8_t greeting[GREETING_BYTES] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0};
    memcpy(greeting + 12, attack.curve ? "CURVE" : "NULL", attack.curve ? 5 : 4);
    send_bytes(fd, greeting, sizeof greeting);
}

/* As far as a stranger gets: to the end without keys, to the greeting with them. */
static void shake_hands(int fd)
{
    uint8_t answer[GREETING_BYTES + sizeof ready];
    greet(fd);
    if (!attack.curve)
        send_bytes(fd, ready, sizeof ready - 1);
    recv(fd, answer, attack.curve ? GREETING_BYTES : sizeof answer - 1, MSG_WAITALL);
}

/* Holds `count` connections; those that the ps hangs up on are counted and opened again. `begin` is what each
 * says first. */
static void keep_up(unsigned count, void (*begin)(int fd))
{
    for (unsigned i = 0; i < count && !told_to_end; i++) {
        struct pollfd *place = &attack.held[i];
        if (i == attack.count) {
            *place = (struct pollfd){.fd = -1, .events = POLLRDHUP};
            attack.count++;
        }
        if (place->fd >= 0 && poll(place, 1, 0) > 0) {
            attack.hung_up++;
            close(place->fd);
            place->fd = -1;
        }
        if (place->fd < 0 && (place->fd = connect_to(attack.port)) >= 0)
            begin(place->fd);
    }
}

static void each_says_a_byte(const uint8_t *bytes, size_t count)
{
    static size_t round;
    for (unsigned i = 0; i < attack.count; i++)
        if (attack.held[i].fd >= 0)
            send(attack.held[i].fd, bytes + round % count, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    round++;
}

/* ---- strangers ---- */

static void say_something(int fd)
{
    switch (draw() % 3) {
    case 0:
        send_bytes(fd, "\xff\0\0\0", 4);
        break;
    case 1:
        greet(fd);
        break;
    default:
        break;
    }
}

static void crowd(void)
{
    keep_up(attack.crowd, say_something);
}

static void nothing(int fd)
{
    (void)fd;
}

static void slow_greeting(void)
{
    static const uint8_t greeting[GREETING_BYTES] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3};
    keep_up(FEW, nothing);
    each_says_a_byte(greeting, sizeof greeting);
}

static void begin_a_frame(int fd)
{
    shake_hands(fd);
    send_bytes(fd, "\x00\xf0", 2);
}

static void slow_frame(void)
{
    keep_up(FEW, begin_a_frame);
    each_says_a_byte((const uint8_t *)"x", 1);
}

/* A long frame's claim: a command in a handshake, else of a message. */
static void claim(int fd, uint64_t bytes)
{
    uint8_t head[9] = {attack.curve ? 6 : 2};
    for (int i = 0; i < 8; i++)
        head[8 - i] = (uint8_t)(bytes >> 8 * i);
    shake_hands(fd);
    send_bytes(fd, head, sizeof head);
}

static void claim_too_much(int fd)
{
    claim(fd, UINT64_C(16) << 30);
}

static void claims_beyond(void)
{
    keep_up(FEW, claim_too_much);
}

static void claim_the_most(int fd)
{
    claim(fd, WIRE_FRAME_MAX);
}

static void claims_within(void)
{
    keep_up(attack.claims, claim_the_most);
}

/* Not only claimed: as much as it takes. Without keys whoever comes is let in, and this is no attack. */
static void claims_paid(void)
{
    static const uint8_t piece[PIECE_BYTES];
    keep_up(FEW, claim_the_most);
    for (unsigned i = 0; i < attack.count; i++)
        if (attack.held[i].fd >= 0)
            send(attack.held[i].fd, piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void say_junk(int fd)
{
    uint8_t junk[4096];
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (uint8_t)(draw() >> 32);
    if (draw() % 2)
        shake_hands(fd);
    junk[0] &= 7; /* a frame's flags, so that some of it is taken for one */
    send_bytes(fd, junk, 1 + draw() % sizeof junk);
}

static void junk(void)
{
    keep_up(FEW, say_junk);
}

/* ---- what was recorded ---- */

static struct {
    uint8_t *bytes;
    size_t count;
} record;

static void read_record(const char *path)
{
    FILE *file = path ? fopen(path, "rb") : NULL;
    record.bytes = malloc(RECORD_MAX);
    if (!file || !record.bytes)
        die("no record");
    record.count = fread(record.bytes, 1, RECORD_MAX, file);
    fclose(file);
    if (record.count <= GREETING_BYTES)
        die("an empty record");
}

/* Plays it once, as fast as it is taken; what comes back is looked at for its size alone. */
static void replay(void)
{
    uint8_t back[PIECE_BYTES];
    const int fd = connect_to(attack.port);
    if (fd < 0)
        return;
    send_bytes(fd, record.bytes, GREETING_BYTES);
    recv(fd, back, GREETING_BYTES, MSG_WAITALL);
    bool open = true;
    for (size_t at = GREETING_BYTES; open && at < record.count && !told_to_end;) {
        const size_t left = record.count - at, piece = left < PIECE_BYTES ? left : PIECE_BYTES;
        ssize_t came;
        open = send_bytes(fd, record.bytes + at, piece);
        while ((came = recv(fd, back, sizeof back, MSG_DONTWAIT)) > 0)
            attack.bytes_back += (uint64_t)came;
        open = open && came != 0;
        at += piece;
    }
    shutdown(fd, SHUT_WR);
    ssize_t came;
    while ((came = recv(fd, back, sizeof back, 0)) > 0)
        attack.bytes_back += (uint64_t)came;
    attack.hung_up += came == 0 || errno == ECONNRESET;
    close(fd);
}

/* A frame of the record at `*at`; NULL: there is no whole one. */
static const uint8_t *next_frame(size_t *at, size_t *bytes, uint8_t *flags)
{
    const size_t left = record.count - *at;
    const uint8_t *head = record.bytes + *at;
    if (left < 9)
        return NULL;
    const bool is_long = head[0] & 2;
    uint64_t size = is_long ? 0 : head[1];
    for (int i = 1; is_long && i <= 8; i++)
        size = size << 8 | head[i];
    const size_t head_bytes = is_long ? 9 : 2;
    if (size > left - head_bytes)
        return NULL;
    *flags = head[0];
    *bytes = (size_t)size;
    *at += head_bytes + (size_t)size;
    return head + head_bytes;
}

/* The next message of the record that came in frames of its own; NULL at the end. */
static wire_message *next_message(size_t *at)
{
    static const uint8_t *frames[WIRE_SLICES_MAX + 1];
    static size_t sizes[WIRE_SLICES_MAX + 1];
    for (;;) {
        uint32_t count = 0;
        uint8_t flags = 1;
        while (flags & 1 && count <= WIRE_SLICES_MAX) {
            frames[count] = next_frame(at, &sizes[count], &flags);
            if (!frames[count])
                return NULL;
            count++;
        }
        wire_message *m;
        if (flags & 4 || bundle_is(frames[0], sizes[0]) ||
            wire_decode(frames[0], sizes[0], sizes + 1, count - 1, &m, NULL) != PS_OK)
            continue;
        for (uint32_t i = 0, frame = 1; frame < count; i++) {
            if (m->payloads[i])
                continue;
            m->payloads[i] = buffer_alloc(sizes[frame]);
            memcpy(buffer_data(m->payloads[i]), frames[frame], sizes[frame]);
            frame++;
        }
        return m;
    }
}

static void another_index(wire_message *m)
{
    m->index = 5;
}

static void an_older_process(wire_message *m)
{
    m->incarnation--;
}

static void an_unknown_process(wire_message *m)
{
    m->incarnation += m->type == WIRE_HELLO ? 0 : UINT64_C(1) << 40;
}

static void a_step_far_ahead(wire_message *m)
{
    m->step += 1000000;
}

static void the_last_step_there_is(wire_message *m)
{
    m->step = UINT64_MAX;
}

static void another_request(wire_message *m)
{
    m->request += UINT64_C(1) << 40;
}

static void another_job(wire_message *m)
{
    m->job ^= 1;
}

static void another_role(wire_message *m)
{
    m->role = WIRE_PS;
}

static void take_answers(transport_socket *s)
{
    wire_message *m;
    transport_event event;
    while ((event = transport_receive(s, NULL, &m, NULL)) != TRANSPORT_NOTHING) {
        if (event == TRANSPORT_REFUSED)
            die("an answer that is none");
        if (m->type == WIRE_ERROR)
            attack.refused++;
        else
            attack.answered++;
        wire_destroy(&m);
    }
}

/* As a worker; with the keys of that folder, if any. */
static transport_socket *join_in(const char *keys_folder)
{
    enum { INDEX = 1 };
    static transport *t;
    transport_socket *s;
    curve_keys keys = {.wanted = false};
    ps_error error = {PS_OK, ""};
    if (keys_folder)
        curve_keys_read_client(keys_folder, WIRE_WORKER, INDEX, &keys, &error);
    if (error.status != PS_OK)
        die(error.text);
    if (transport_create(1, &t, NULL) != PS_OK ||
        (keys_folder && transport_secure(t, &keys, NULL) != PS_OK) ||
        transport_connect(t, "127.0.0.1", attack.port, &s, NULL) != PS_OK)
        die("no socket");
    return s;
}

/* One message that could be a push, of as many slices as one may have, and of 16 GiB. Whenever the ps cuts
 * the connection, ZeroMQ makes another, and the next message is begun. */
static void hoard(void)
{
    static transport_socket *s;
    static buffer *slice;
    if (!s) {
        s = join_in(getenv("ATTACK_KEYS"));
        slice = buffer_alloc(WIRE_GATHERED_MAX);
        memset(buffer_data(slice), 0, buffer_size(slice));
    }
    wire_message *m = wire_create(WIRE_PUSH_PULL, WIRE_SLICES_MAX);
    m->role = WIRE_WORKER;
    m->index = 1;
    m->step = m->examples = 1;
    m->clip_factor = 1;
    m->has_payload = true;
    for (uint32_t i = 0; i < WIRE_SLICES_MAX; i++) {
        m->slices[i] = i;
        m->payloads[i] = buffer_ref(slice);
    }
    while (transport_send(s, NULL, &m) == PS_ESTATE && !told_to_end) {
        transport_poll(&s, 1, PAUSE_MS);
        take_answers(s);
    }
    wire_destroy(&m);
}

/* Every message of the record, with one field changed, in every way. */
static void forge(void)
{
    static void (*const changes[])(wire_message *) = {
        another_index,          an_older_process, an_unknown_process, a_step_far_ahead,
        the_last_step_there_is, another_request,  another_job,        another_role,
    };
    static transport_socket *s;
    static size_t change;
    if (!s)
        s = join_in(NULL);
    size_t at = GREETING_BYTES;
    for (wire_message *m; !told_to_end && (m = next_message(&at));) {
        changes[change++ % (sizeof changes / sizeof *changes)](m);
        while (transport_send(s, NULL, &m) == PS_ESTATE && !told_to_end) {
            transport_poll(&s, 1, PAUSE_MS);
            take_answers(s);
        }
        wire_destroy(&m);
        take_answers(s);
    }
}

/* ---- the tap ---- */

typedef struct {
    struct pollfd ends[2]; /* who connected, and the ps */
    uint64_t from_ps;
    bool injected;
} tapped;

static bool pass(const struct pollfd *from, const struct pollfd *to, uint8_t *piece, ssize_t *count)
{
    *count = 0;
    if (!(from->revents & (POLLIN | POLLHUP | POLLERR)))
        return true;
    *count = recv(from->fd, piece, PIECE_BYTES, 0);
    return *count > 0 && send_bytes(to->fd, piece, (size_t)*count);
}

/* Passes on what has come. False: one end has gone. `file`, if not NULL, gets what goes to the ps. */
static bool tend(tapped *t, FILE *file, bool inject)
{
    static uint8_t piece[PIECE_BYTES];
    ssize_t count;
    if (poll(t->ends, 2, 0) <= 0)
        return true;
    if (!pass(&t->ends[1], &t->ends[0], piece, &count))
        return false;
    t->from_ps += (uint64_t)count;
    if (inject && !t->injected && t->from_ps > LET_IN_BYTES) {
        static const uint8_t claims[] = {2, 0, 0, 0, 4, 0, 0, 0, 0};
        t->injected = send_bytes(t->ends[1].fd, claims, sizeof claims);
        say_under_attack();
    }
    if (!pass(&t->ends[0], &t->ends[1], piece, &count))
        return false;
    if (file && count > 0 && fwrite(piece, 1, (size_t)count, file) != (size_t)count)
        die("the record cannot be written");
    return true;
}

/* The connections of one process each. The first that sends most is its session: its bytes are what is kept.
 */
static void tap(const char *path, uint16_t listen_port, bool inject)
{
    enum { TAPPED_MAX = 256 };
    static tapped all[TAPPED_MAX];
    static FILE *files[TAPPED_MAX];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(listen_port)};
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    unsigned count = 0;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (const struct sockaddr *)&at, sizeof at) != 0 || listen(listener, FEW) != 0)
        die(strerror(errno));
    puts("listening");
    fflush(stdout);
    while (!told_to_end) {
        struct pollfd news[1 + 2 * TAPPED_MAX] = {{.fd = listener, .events = POLLIN}};
        for (unsigned i = 0; i < 2 * count; i++)
            news[1 + i] = all[i / 2].ends[i % 2];
        poll(news, 1 + 2 * count, 100);
        const int fd = count < TAPPED_MAX ? accept(listener, NULL, NULL) : -1;
        if (fd >= 0) {
            char name[512];
            all[count] = (tapped){
                .ends = {{.fd = fd, .events = POLLIN}, {.fd = connect_to(attack.port), .events = POLLIN}}};
            snprintf(name, sizeof name, "%s.%u", path, count);
            files[count] = inject ? NULL : fopen(name, "wb");
            if (files[count]) /* whoever copies it meanwhile has all that has been sent */
                setvbuf(files[count], NULL, _IONBF, 0);
            count++;
        }
        for (unsigned i = 0; i < count; i++) {
            tapped *t = &all[i];
            if (t->ends[0].fd < 0 || tend(t, files[i], inject))
                continue;
            attack.hung_up += t->injected;
            for (int k = 0; k < 2; k++) {
                close(t->ends[k].fd);
                t->ends[k].fd = -1;
            }
        }
    }
    for (unsigned i = 0; i < count; i++)
        if (files[i] && fclose(files[i]) != 0)
            die("the record cannot be written");
}

/* ---- all of it ---- */

static const struct {
    const char *name;
    void (*round)(void);
    bool replays;
} kinds[] = {
    {"crowd", crowd, false},                 /* CROWD connections, held; some have begun to greet */
    {"slow-greeting", slow_greeting, false}, /* a byte at a time */
    {"slow-frame", slow_frame, false},       /* likewise, after the greeting */
    {"claims-beyond", claims_beyond, false}, /* frames of 16 GiB */
    {"claims-within", claims_within, false}, /* many of the largest allowed, none of which comes */
    {"claims-paid", claims_paid, false},     /* the same, and they come: with keys */
    {"junk", junk, false},                   /* random bytes, before and after the greeting */
    {"replay", replay, true},                /* what a worker has sent, again */
    {"forge", forge, true},                  /* the same with changes */
    {"hoard", hoard, false},                 /* messages of 16 GiB, whole frames of which come */
};

static void allow_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die(strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die(strerror(errno));
    attack.crowd =
        limit.rlim_cur < CROWD + FILES_ELSEWHERE ? (unsigned)limit.rlim_cur - FILES_ELSEWHERE : CROWD;
}

static unsigned number_of_claims(void)
{
    const char *wanted = getenv("ATTACK_CLAIMS");
    const unsigned count = wanted ? (unsigned)atoi(wanted) : 10 * FEW;
    if (count == 0 || count > CROWD)
        die("ATTACK_CLAIMS is not a number of connections");
    return count;
}

int main(int argc, char **argv)
{
    signal(SIGTERM, note_end);
    signal(SIGPIPE, SIG_IGN);
    if (argc < 3)
        die("usage: attack KIND PORT [FILE [LISTEN]]");
    allow_files();
    attack.port = (uint16_t)atoi(argv[2]);
    attack.curve = getenv("ATTACK_CURVE") != NULL;
    attack.claims = number_of_claims();
    const bool inject = strcmp(argv[1], "inject") == 0;
    if (argc == 5 && (inject || strcmp(argv[1], "record") == 0)) {
        tap(argv[3], (uint16_t)atoi(argv[4]), inject);
    } else {
        size_t kind = 0;
        while (kind < sizeof kinds / sizeof *kinds && strcmp(kinds[kind].name, argv[1]) != 0)
            kind++;
        if (kind == sizeof kinds / sizeof *kinds)
            die("no such attack");
        if (kinds[kind].replays)
            read_record(argc > 3 ? argv[3] : NULL);
        while (!told_to_end) {
            kinds[kind].round();
            if (!told_to_end)
                say_under_attack();
            poll(NULL, 0, PAUSE_MS);
        }
    }
    printf("%llu connections taken, %llu of them hung up on", (unsigned long long)attack.connections,
           (unsigned long long)attack.hung_up);
    if (attack.refused + attack.answered > 0)
        printf("; %llu refusals, %llu other answers", (unsigned long long)attack.refused,
               (unsigned long long)attack.answered);
    if (attack.bytes_back > 0)
        printf("; %llu bytes came back", (unsigned long long)attack.bytes_back);
    puts("");
    return EXIT_SUCCESS;
}
