/* garbage.c - attacks a ps on this host for as long as it lives, and says what came of it.
 *
 *   garbage PORT PIXELS
 *
 * Two kinds of attack take turns. Strangers: raw TCP connections with random bytes, broken and slow
 * greetings, impossible frames, none of it answered by more than a closed connection. A member gone mad: it
 * knows the job (as the options of garbage.sh make it), joins as its evaluator, and then sends well-formed
 * messages, none of which a ps may obey. Ends with 0 when the ps is gone and has obeyed none. */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/job.h"
#include "common/partition.h"
#include "common/transport.h"
#include "common/wire.h"
#include "worker/mlp.h"

enum {
    HELD_MAX = 128,       /* connections kept open at a time */
    LIFETIME_MAX_S = 300, /* of this program, should the ps never end */
    ANSWER_MS = 10000,    /* for the ps to say WELCOME */
    FIRST_FORBIDDEN = 1000,
    PAUSE_MS = 5, /* between rounds: the machine is also to train */
    GONE = -1,
    BUSY = -2,
};

static uint64_t random_state = UINT64_C(0x9E3779B97F4A7C15);

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void fill(uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(draw() >> 32);
}

static void die(const char *what)
{
    fprintf(stderr, "garbage: %s\n", what);
    exit(EXIT_FAILURE);
}

/* ---- strangers ---- */

static const uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
static const uint8_t ready[] = "\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06"
                               "DEALER";

typedef struct {
    uint16_t port;
    int held[HELD_MAX]; /* connections that stay open; 0: none */
    unsigned next_held;
    int slow; /* a connection that sends its greeting byte by byte; 0: none */
    unsigned slow_sent;
    uint64_t connections;
} strangers;

/* GONE if the ps listens no more, BUSY if it did not take the connection in time. */
static int connect_to(strangers *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    struct timeval patience = {.tv_sec = 1};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        die(strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        s->connections++;
        return fd;
    }
    bool gone = errno == ECONNREFUSED || errno == ECONNRESET;
    if (!gone && errno != EINPROGRESS)
        die(strerror(errno));
    close(fd);
    return gone ? GONE : BUSY;
}

/* The other side may close at any time. */
static void send_bytes(int fd, const void *bytes, size_t count)
{
    ssize_t ignored = send(fd, bytes, count, MSG_NOSIGNAL);
    (void)ignored;
}

static void send_random(int fd, size_t count)
{
    uint8_t bytes[4096];
    fill(bytes, count);
    send_bytes(fd, bytes, count);
}

/* Complete: a ps drops who sends messages before it has read the ps's own part. */
static void send_handshake(int fd)
{
    uint8_t answer[sizeof greeting + sizeof ready];
    send_bytes(fd, greeting, sizeof greeting);
    send_bytes(fd, ready, sizeof ready - 1);
    recv(fd, answer, sizeof answer - 1, MSG_WAITALL);
}

/* A peer of ZMTP 1.0 or 2.0 must be dropped at its greeting: libzmq 4.3.4 aborts when the routing id of one
 * comes while the socket is being closed. */
static void check_old_peers_are_dropped(strangers *s)
{
    static const uint8_t greetings[][12] = {
        {200, 0, 'o', 'l', 'd', 'e', 's', 't'},                  /* 1.0: a frame of 200 bytes, at once */
        {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1, 5 /* DEALER */}, /* 2.0 */
    };
    for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
        struct timeval patience = {.tv_sec = ANSWER_MS / 1000};
        uint8_t answer[64];
        ssize_t received;
        int fd = connect_to(s);
        if (fd < 0)
            die("the ps takes no connection");
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        send_bytes(fd, greetings[i], sizeof greetings[i]);
        while ((received = recv(fd, answer, sizeof answer, 0)) > 0)
            ;
        if (received < 0 && errno != ECONNRESET)
            die("the ps talks to a peer of an old protocol");
        close(fd);
    }
}

static void random_bytes(int fd)
{
    send_random(fd, 1 + draw() % 4096);
}

static void greeting_then_junk(int fd)
{
    send_bytes(fd, greeting, sizeof greeting);
    send_random(fd, 512);
}

static void half_a_greeting(int fd)
{
    send_bytes(fd, greeting, 1 + draw() % 63);
}

static void frame_without_end(int fd)
{
    static const uint8_t claims[] = {0x02, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    send_handshake(fd);
    send_bytes(fd, claims, sizeof claims);
    send_random(fd, 4096);
}

/* A frame of the largest size allowed that never comes. */
static void frame_that_stops(int fd)
{
    static const uint8_t claims[] = {0x02, 0, 0, 0, 0, 0x04, 0, 0, 0};
    send_handshake(fd);
    send_bytes(fd, claims, sizeof claims);
}

static void message_of_junk(int fd)
{
    uint8_t frame[2 + 200] = {0x00, 200};
    fill(frame + 2, 200);
    send_handshake(fd);
    send_bytes(fd, frame, sizeof frame);
}

static void message_of_many_frames(int fd)
{
    uint8_t frames[2 * 5000];
    for (size_t i = 0; i < sizeof frames; i += 2) {
        frames[i] = i + 2 < sizeof frames ? 0x01 : 0x00;
        frames[i + 1] = 0;
    }
    send_handshake(fd);
    send_bytes(fd, frames, sizeof frames);
}

static void command_of_junk(int fd)
{
    uint8_t frame[2 + 60] = {0x04, 60};
    fill(frame + 2, 60);
    send_handshake(fd);
    send_bytes(fd, frame, sizeof frame);
}

static void nothing(int fd)
{
    (void)fd;
}

static void send_slowly(strangers *s)
{
    if (s->slow == 0) {
        int fd = connect_to(s);
        if (fd < 0)
            return;
        s->slow = fd;
        s->slow_sent = 0;
    }
    send_bytes(s->slow, greeting + s->slow_sent, 1);
    if (++s->slow_sent == sizeof greeting) {
        close(s->slow);
        s->slow = 0;
    }
}

/* Keeps it open until HELD_MAX others have come. */
static void hold(strangers *s, int fd)
{
    int *place = &s->held[s->next_held++ % HELD_MAX];
    if (*place)
        close(*place);
    *place = fd;
}

static void reset(int fd)
{
    struct linger at_once = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

/* Each attack once. False if the ps is gone. */
static bool strangers_attack(strangers *s)
{
    static void (*const attacks[])(int) = {
        random_bytes,    greeting_then_junk,     half_a_greeting, frame_without_end, frame_that_stops,
        message_of_junk, message_of_many_frames, command_of_junk, nothing,
    };
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        int fd = connect_to(s);
        if (fd == GONE)
            return false;
        if (fd == BUSY)
            continue;
        attacks[i](fd);
        switch (draw() % 3) {
        case 0:
            close(fd);
            break;
        case 1:
            reset(fd);
            break;
        default:
            hold(s, fd);
        }
    }
    send_slowly(s);
    return true;
}

/* ---- a member gone mad ---- */

typedef struct {
    transport *transport;
    transport_socket *socket;
    transport_socket *deaf; /* asks and asks, and never reads an answer */
    job_config job;
    partition partition;
    uint64_t fingerprint, incarnation, request;
    bool welcome;
    uint64_t refused, obeyed;
} member;

static wire_message *make(member *m, wire_type type, uint32_t slices)
{
    wire_message *made = wire_create(type, slices);
    if (!made)
        die("out of memory");
    made->job = m->fingerprint;
    made->role = WIRE_EVALUATOR;
    made->incarnation = m->incarnation;
    made->request = FIRST_FORBIDDEN + m->request++;
    made->clip_factor = 1.0f;
    made->step = 1;
    return made;
}

static void submit(member *m, wire_message *message)
{
    transport_send(m->socket, NULL, &message);
    wire_destroy(&message); /* if the queue is full */
}

static void submit_hello(member *m, const job_config *job, wire_role role, uint32_t index, uint64_t request)
{
    wire_message *hello = make(m, WIRE_HELLO, 0);
    hello->job = 0;
    hello->role = role;
    hello->index = index;
    hello->request = request;
    hello->hello = calloc(1, sizeof *hello->hello);
    if (!hello->hello || job_copy(job, hello->hello) != PS_OK)
        die("out of memory");
    submit(m, hello);
}

/* A gradient for every slice: large enough to be seen in the weights if it were used. */
static wire_message *make_push(member *m)
{
    wire_message *push = make(m, WIRE_PUSH_PULL, m->partition.count);
    push->examples = 50;
    push->has_payload = true;
    for (uint32_t i = 0; i < m->partition.count; i++) {
        size_t count = m->partition.slices[i].count;
        push->slices[i] = i;
        push->payloads[i] = buffer_alloc(count * sizeof(float));
        if (!push->payloads[i])
            die("out of memory");
        float *values = buffer_data(push->payloads[i]);
        for (size_t k = 0; k < count; k++)
            values[k] = 1000.0f;
    }
    return push;
}

static void member_init(member *m, uint16_t port, uint32_t pixels)
{
    mlp_config model = {.inputs = pixels, .hidden = {300, 100}, .hidden_count = 2, .classes = 10};
    ps_error error;
    model.activation = ACTIVATION_RELU;
    model.kernel_init.kind = INITIALIZER_HE_NORMAL;
    job_init(&m->job);
    memcpy(m->job.name, "penstock", sizeof "penstock");
    m->job.workers = 2;
    m->job.evaluators = 1;
    m->job.seed = 1;
    m->job.slice_bytes = 4096;
    m->incarnation = clock_incarnation();
    if (mlp_declare(&model, &m->job.tensors, &error) != PS_OK ||
        partition_init(&m->partition, &m->job, &error) != PS_OK ||
        wire_job_fingerprint(&m->job, &m->fingerprint) != PS_OK ||
        transport_create(1, &m->transport, &error) != PS_OK ||
        transport_connect(m->transport, "127.0.0.1", port, &m->socket, &error) != PS_OK ||
        transport_connect(m->transport, "127.0.0.1", port, &m->deaf, &error) != PS_OK)
        die("cannot set up");
}

/* Its sockets end with the process: libzmq 4.3.4 aborts if a connection breaks while a socket is being closed
 * that has sent a half of a message, as has the one that does not read (session_base.cpp, clean_pipes). */
static void member_fini(member *m)
{
    partition_fini(&m->partition);
    job_fini(&m->job);
}

/* Of the requests from FIRST_FORBIDDEN on, none may be answered but by a refusal. */
static void take_answers(member *m)
{
    wire_message *answer;
    ps_error error;
    transport_event event;
    while ((event = transport_receive(m->socket, NULL, &answer, &error)) != TRANSPORT_NOTHING) {
        if (event == TRANSPORT_REFUSED)
            die(error.text);
        if (answer->request < FIRST_FORBIDDEN && answer->type == WIRE_WELCOME) {
            m->welcome = true;
        } else if (answer->type == WIRE_ERROR || answer->type == WIRE_RESEND) {
            if (!m->welcome)
                die(answer->text ? answer->text : "the ps gives no reason for its refusal");
            m->refused++;
        } else {
            fprintf(stderr, "garbage: request %llu was answered by %s\n", (unsigned long long)answer->request,
                    wire_type_name(answer->type));
            m->obeyed++;
        }
        wire_destroy(&answer);
    }
}

static void member_join(member *m)
{
    uint64_t end = clock_monotonic_ms() + ANSWER_MS;
    for (transport_socket *const *socket = &m->socket; !m->welcome && clock_monotonic_ms() < end;) {
        submit_hello(m, &m->job, WIRE_EVALUATOR, 0, 1);
        transport_poll(socket, 1, 100);
        take_answers(m);
    }
    if (!m->welcome)
        die("the ps does not answer to HELLO");
}

static void hello_otherwise(member *m)
{
    job_config other;
    if (job_copy(&m->job, &other) != PS_OK)
        die("out of memory");
    other.schedule.learning_rate = 0.5;
    submit_hello(m, &other, WIRE_WORKER, 0, FIRST_FORBIDDEN);
    memcpy(other.name, "another", sizeof "another");
    submit_hello(m, &other, WIRE_WORKER, 1, FIRST_FORBIDDEN);
    job_fini(&other);
    submit_hello(m, &m->job, WIRE_WORKER, 2, FIRST_FORBIDDEN);
    submit_hello(m, &m->job, WIRE_EVALUATOR, 7, FIRST_FORBIDDEN);
    uint64_t own = m->incarnation;
    m->incarnation = 1; /* older than the worker that has joined */
    submit_hello(m, &m->job, WIRE_WORKER, 0, FIRST_FORBIDDEN);
    m->incarnation = own;
}

static void push_otherwise(member *m)
{
    submit(m, make_push(m)); /* an evaluator has nothing to push */

    wire_message *push = make_push(m);
    push->role = WIRE_WORKER; /* as if replayed from a process before it */
    push->incarnation = m->incarnation - 1;
    submit(m, push);

    push = make_push(m);
    push->role = WIRE_WORKER;
    push->index = 5;
    submit(m, push);

    push = make_push(m);
    push->job ^= 1;
    submit(m, push);

    push = make_push(m);
    push->role = WIRE_PS;
    submit(m, push);
}

static void ask_otherwise(member *m)
{
    wire_message *pull = make(m, WIRE_PULL, 1);
    pull->slices[0] = m->partition.count;
    submit(m, pull);

    pull = make(m, WIRE_PULL, 4);
    for (uint32_t i = 0; i < 4; i++)
        pull->slices[i] = UINT32_MAX - 4 + i;
    submit(m, pull);

    wire_message *finish = make(m, WIRE_FINISH, 0);
    finish->role = WIRE_WORKER;
    finish->index = 1;
    finish->incarnation = draw();
    submit(m, finish);

    submit(m, make(m, WIRE_QUERY, 0));
    submit(m, make(m, WIRE_WELCOME, 0));
    submit(m, make(m, WIRE_WEIGHTS, 0));
}

/* Pulls that may be answered at once, each of all weights. */
static void ask_without_listening(member *m)
{
    for (int i = 0; i < 50; i++) {
        wire_message *pull = make(m, WIRE_PULL, m->partition.count);
        pull->step = 0;
        for (uint32_t k = 0; k < m->partition.count; k++)
            pull->slices[k] = k;
        transport_send(m->deaf, NULL, &pull);
        wire_destroy(&pull);
    }
}

static void member_attacks(member *m)
{
    hello_otherwise(m);
    push_otherwise(m);
    ask_otherwise(m);
    ask_without_listening(m);
    transport_poll(&m->socket, 1, 10);
    take_answers(m);
}

int main(int argc, char **argv)
{
    static strangers s;
    static member m;
    unsigned long port = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned long pixels = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (port == 0 || port > UINT16_MAX || pixels == 0 || pixels > MLP_WIDTH_MAX)
        die("usage: garbage PORT PIXELS");
    alarm(LIFETIME_MAX_S);
    s.port = (uint16_t)port;
    member_init(&m, (uint16_t)port, (uint32_t)pixels);
    member_join(&m);
    check_old_peers_are_dropped(&s);
    uint64_t rounds = 0;
    while (strangers_attack(&s)) {
        member_attacks(&m);
        usleep(PAUSE_MS * 1000);
        if (++rounds == 3) {
            puts("under attack");
            fflush(stdout);
        }
    }
    printf("%llu rounds, %llu connections, %llu refusals\n", (unsigned long long)rounds,
           (unsigned long long)s.connections, (unsigned long long)m.refused);
    if (m.refused == 0)
        die("nothing was refused");
    bool obeyed = m.obeyed > 0;
    member_fini(&m);
    return obeyed ? EXIT_FAILURE : EXIT_SUCCESS;
}
