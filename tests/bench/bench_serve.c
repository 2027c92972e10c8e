/* bench_serve.c - what does an answer of `penstock serve` take, and how many are there in a second?
 *
 * Clients on connections that stay ask for one image each and at once again, all from one thread that polls.
 * The server is worker/serving.h in a process of its own: with and without micro-batches, and, as a floor,
 * asked only whether it lives, which is what HTTP takes by itself. Beside them the bare forward pass. The
 * network is 784-300-100-10, and a large one, 784-2048-2048-10, whose weights no cache holds. Medians of
 * turns, in which all kinds follow each other.
 *
 * Usage: bench_serve [SECONDS [TURNS]]      of a turn of each kind (1), and how many (5) */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/decimal.h"
#include "common/fpmode.h"
#include "common/log.h"
#include "common/random.h"
#include "tests/bench/latency.h"
#include "worker/blas_select.h"
#include "worker/inference.h"
#include "worker/serving.h"

enum {
    INPUTS = 784,
    CLIENTS_MAX = 64,
    TURNS_MAX = 99,
    REQUEST_MAX = 16 << 10,
    ANSWER_MAX = 16 << 10,
};

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "bench_serve: %s\n", what);
    exit(EXIT_FAILURE);
}

static void *allocate(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory)
        fail("out of memory");
    return memory;
}

/* ---- the model and its bare forward pass ---- */

static saved_model make_model(uint32_t first, uint32_t second)
{
    saved_model m = {.config = {.inputs = INPUTS,
                                .hidden = {first, second},
                                .hidden_count = 2,
                                .classes = 10,
                                .activation = ACTIVATION_RELU}};
    if (mlp_declare(&m.config, &m.tensors, NULL) != PS_OK)
        fail("no model");
    m.parameters = tensor_table_elements(&m.tensors);
    m.weights = allocate(m.parameters * sizeof *m.weights);
    for (uint64_t i = 0; i < m.parameters; i++)
        m.weights[i] = ((float)(random_at(1, i) % 2000) / 1000.0F - 1.0F) * 0.05F;
    return m;
}

static void fill(float *features, size_t count)
{
    for (size_t i = 0; i < count; i++)
        features[i] = (float)(random_at(2, i) % 256) / 255.0F;
}

static void measure_bare(const saved_model *model, uint32_t rows, double seconds, latency_log *log)
{
    backend *cpu;
    inference *i;
    float *features = allocate((size_t)rows * INPUTS * sizeof *features);
    float *logits = allocate((size_t)rows * model->config.classes * sizeof *logits);
    if (backend_cpu_create(1, &cpu, NULL) != PS_OK || inference_create(model, cpu, &i, NULL) != PS_OK)
        fail("no backend");
    fill(features, (size_t)rows * INPUTS);
    inference_logits(i, features, rows, logits);
    log->count = 0;
    for (double end = clock_monotonic_seconds() + seconds; clock_monotonic_seconds() < end;) {
        const uint64_t begun_ns = clock_monotonic_ns();
        inference_logits(i, features, rows, logits);
        latency_add(log, (double)(clock_monotonic_ns() - begun_ns) * 1e-9);
    }
    inference_destroy(&i);
    cpu->ops->destroy(cpu);
    free(features);
    free(logits);
}

/* ---- the server ---- */

typedef struct {
    pid_t process;
    uint16_t port;
} server;

static server start_server(const saved_model *model, uint32_t batch_max, uint32_t wait_us)
{
    int ends[2];
    server s = {.port = 0};
    if (pipe(ends) != 0)
        fail("no pipe");
    s.process = fork();
    if (s.process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const serving_config config = {.name = "m",
                                       .body_max_bytes = 1 << 20,
                                       .batch_max = batch_max,
                                       .wait_us = wait_us,
                                       .queue_max = 1024};
        backend *cpu;
        serving *serves;
        ps_error error;
        fpmode_flush_denormals();
        if (backend_cpu_create(1, &cpu, &error) != PS_OK ||
            serving_start(&config, model, cpu, &serves, &error) != PS_OK)
            fail(error.text);
        const uint16_t port = serving_port(serves);
        if (write(ends[1], &port, sizeof port) != sizeof port)
            fail("no pipe");
        for (;;)
            pause();
    }
    close(ends[1]);
    if (s.process < 0 || read(ends[0], &s.port, sizeof s.port) != sizeof s.port)
        fail("the server does not start");
    close(ends[0]);
    return s;
}

static void stop_server(const server *s)
{
    kill(s->process, SIGKILL);
    waitpid(s->process, NULL, 0);
}

/* ---- clients ---- */

typedef struct {
    size_t bytes;
    char text[REQUEST_MAX];
} request;

static void make_inference(request *r, bool floats)
{
    static char body[REQUEST_MAX];
    int used = snprintf(body, sizeof body,
                        "{\"inputs\":[{\"name\":\"images\",\"datatype\":\"%s\",\"shape\":[1,%d],\"data\":[",
                        floats ? "FP32" : "UINT8", INPUTS);
    for (uint64_t i = 0; i < INPUTS; i++) {
        const unsigned pixel = (unsigned)(random_at(2, i) % 256);
        char number[DECIMAL_FLOAT_BYTES];
        if (floats)
            decimal_print_float((float)pixel / 255.0F, number);
        else
            snprintf(number, sizeof number, "%u", pixel);
        used += snprintf(body + used, sizeof body - (size_t)used, "%s%s", i ? "," : "", number);
    }
    used += snprintf(body + used, sizeof body - (size_t)used, "]}],\"outputs\":[{\"name\":\"logits\"}]}");
    int bytes =
        snprintf(r->text, sizeof r->text,
                 "POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 "Content-Length: %d\r\n\r\n%s",
                 used, body);
    if (bytes >= REQUEST_MAX)
        fail("a request is too long");
    r->bytes = (size_t)bytes;
}

static void make_probe(request *r)
{
    r->bytes =
        (size_t)snprintf(r->text, sizeof r->text, "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

typedef struct {
    uint64_t begun_ns;
    size_t used;
    char answer[ANSWER_MAX];
} client;

static int connect_to(uint16_t port)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof at) != 0)
        fail("the server cannot be reached");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void ask(int fd, client *c, const request *r)
{
    c->begun_ns = clock_monotonic_ns();
    c->used = 0;
    for (size_t sent = 0; sent < r->bytes;) {
        ssize_t done = send(fd, r->text + sent, r->bytes - sent, MSG_NOSIGNAL);
        if (done <= 0)
            fail("a request cannot be sent");
        sent += (size_t)done;
    }
}

/* Takes what has come; is the answer whole? */
static bool take(int fd, client *c)
{
    ssize_t got = recv(fd, c->answer + c->used, sizeof c->answer - 1 - c->used, 0);
    if (got <= 0)
        fail("the server hangs up");
    c->used += (size_t)got;
    c->answer[c->used] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n");
    if (!end)
        return false;
    const char *length = strcasestr(c->answer, "\r\nContent-Length:");
    if (strncmp(c->answer, "HTTP/1.1 200 ", 13) != 0 || !length || length > end)
        fail(c->answer);
    return c->used == (size_t)(end + 4 - c->answer) + strtoull(length + 17, NULL, 10);
}

/* Requests per second. */
static double measure(uint16_t port, const request *r, uint32_t clients, double seconds, latency_log *log)
{
    static client all[CLIENTS_MAX];
    struct pollfd waits[CLIENTS_MAX];
    for (uint32_t i = 0; i < clients; i++) {
        waits[i] = (struct pollfd){.fd = connect_to(port), .events = POLLIN};
        ask(waits[i].fd, &all[i], r);
    }
    log->count = 0;
    uint64_t answers = 0;
    uint32_t waiting = clients;
    const double begun = clock_monotonic_seconds(), end = begun + seconds;
    double now = begun;
    while (waiting > 0) { /* or the server would go on computing what nobody waits for */
        if (poll(waits, clients, -1) < 0)
            fail("poll fails");
        for (uint32_t i = 0; i < clients; i++) {
            if (!waits[i].revents || !take(waits[i].fd, &all[i]))
                continue;
            if (now >= end) {
                waiting--;
                continue;
            }
            latency_add(log, (double)(clock_monotonic_ns() - all[i].begun_ns) * 1e-9);
            answers++;
            ask(waits[i].fd, &all[i], r);
        }
        if (now < end)
            now = clock_monotonic_seconds();
    }
    for (uint32_t i = 0; i < clients; i++)
        close(waits[i].fd);
    return (double)answers / (now - begun);
}

/* ---- turns ---- */

typedef enum { KIND_BARE, KIND_PROBE, KIND_BYTES, KIND_FLOATS } kind_of_work;

typedef struct {
    const char *name;
    kind_of_work work;
    uint32_t batch_max, wait_us;
    uint32_t clients; /* KIND_BARE: rows */
    bool large;
} kind;

static const kind kinds[] = {
    {"bare forward pass, 1 row", KIND_BARE, 0, 0, 1, false},
    {"bare forward pass, 64 rows", KIND_BARE, 0, 0, 64, false},
    {"HTTP alone", KIND_PROBE, 1, 0, 1, false},
    {"HTTP alone", KIND_PROBE, 1, 0, 64, false},
    {"UINT8, --max-batch 1", KIND_BYTES, 1, 0, 1, false},
    {"UINT8, --max-batch 64", KIND_BYTES, 64, 0, 1, false},
    {"UINT8, --max-batch 1", KIND_BYTES, 1, 0, 64, false},
    {"UINT8, --max-batch 64", KIND_BYTES, 64, 0, 64, false},
    {"UINT8, --max-batch 64 --max-wait-us 500", KIND_BYTES, 64, 500, 64, false},
    {"FP32, --max-batch 1", KIND_FLOATS, 1, 0, 1, false},
    {"FP32, --max-batch 64", KIND_FLOATS, 64, 0, 1, false},
    {"FP32, --max-batch 1", KIND_FLOATS, 1, 0, 64, false},
    {"FP32, --max-batch 64", KIND_FLOATS, 64, 0, 64, false},
    {"large: bare forward pass, 1 row", KIND_BARE, 0, 0, 1, true},
    {"large: bare forward pass, 64 rows", KIND_BARE, 0, 0, 64, true},
    {"large: UINT8, --max-batch 1", KIND_BYTES, 1, 0, 1, true},
    {"large: UINT8, --max-batch 1", KIND_BYTES, 1, 0, 64, true},
    {"large: UINT8, --max-batch 64", KIND_BYTES, 64, 0, 64, true},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

typedef struct {
    double per_s[TURNS_MAX], p50_us[TURNS_MAX], p99_us[TURNS_MAX];
} figures;

static void one_turn(const kind *k, const saved_model *model, double seconds, uint32_t turn, figures *f)
{
    static latency_log log;
    static request r;
    double latency_s[LATENCIES];
    if (k->work == KIND_BARE) {
        measure_bare(model, k->clients, seconds, &log);
        f->per_s[turn] = 0;
    } else {
        if (k->work == KIND_PROBE)
            make_probe(&r);
        else
            make_inference(&r, k->work == KIND_FLOATS);
        const server s = start_server(model, k->batch_max, k->wait_us);
        measure(s.port, &r, k->clients, seconds / 10, &log); /* warms up */
        f->per_s[turn] = measure(s.port, &r, k->clients, seconds, &log);
        stop_server(&s);
    }
    latency_summarise(&log, latency_s);
    f->p50_us[turn] = latency_s[LATENCY_P50] * 1e6;
    f->p99_us[turn] = latency_s[LATENCY_P99] * 1e6;
    if (k->work == KIND_BARE)
        f->per_s[turn] = k->clients / latency_s[LATENCY_P50];
}

static int by_size(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

int main(int argc, char **argv)
{
    static figures all[KINDS];
    char blas[512];
    ps_error error;
    if (blas_select(argv, blas, sizeof blas, &error) != PS_OK)
        fail(error.text);
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
    const long turns = argc > 2 ? strtol(argv[2], NULL, 10) : 5;
    if (!(seconds > 0) || turns < 1 || turns > TURNS_MAX)
        fail("usage: bench_serve [SECONDS [TURNS]]");
    log_setup("bench", LOG_ERROR);
    const saved_model models[] = {make_model(300, 100), make_model(2048, 2048)};
    for (uint32_t turn = 0; turn < (uint32_t)turns; turn++)
        for (int k = 0; k < KINDS; k++)
            one_turn(&kinds[k], &models[kinds[k].large], seconds, turn, &all[k]);
    printf("%s\n\n| what | clients | rows/s | p50 us | p99 us |\n|---|---:|---:|---:|---:|\n", blas);
    for (int k = 0; k < KINDS; k++) {
        char clients[16] = "";
        if (kinds[k].work != KIND_BARE)
            snprintf(clients, sizeof clients, "%u", kinds[k].clients);
        printf("| %s | %s | %.0f | %.0f | %.0f |\n", kinds[k].name, clients,
               median(all[k].per_s, (uint32_t)turns), median(all[k].p50_us, (uint32_t)turns),
               median(all[k].p99_us, (uint32_t)turns));
    }
    return EXIT_SUCCESS;
}
