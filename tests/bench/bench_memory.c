/* bench_memory.c - how much memory does a ps take, through the socket and with shared memory?
 *
 * Two tables. Lone: one synchronous worker on models of 1, 64 and 256 MiB. Slow: an asynchronous worker
 * pushes as fast as it can, while 100 others pull the whole model and take what has come only now and then,
 * so that what is on its way to each is of another version.
 *
 * Each row is a ps in a process of its own; its memory is what /proc/PID/smaps says is resident, the most
 * that was seen after any update. What it has mapped of a worker's memory is listed apart: those pages are
 * the worker's, and exist once. "stored" is the weights in two versions; plain SGD has no slots.
 *
 * Usage: bench_memory [MIB of the slow table's model] [slow workers] [updates] */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "ps/server.h"
#include "worker/client.h"

enum { CLIENTS_MAX = 200, JOIN_MS = 60000, LONE_UPDATES = 12, SLOW_SLICE_BYTES = 16 << 10 };

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_memory: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void check(ps_status status, const char *what, const ps_error *error)
{
    if (status != PS_OK)
        fail(what, error->text);
}

/* ---- memory of a process ---- */

typedef struct {
    uint64_t own_kib, others_kib;
} residence;

/* Pages of other processes' segments are mapped for reading only. */
static residence look_at(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        fail(path, "cannot be opened");
    residence r = {0, 0};
    bool of_other = false;
    unsigned long long kib;
    while (fgets(line, sizeof line, f)) {
        char range[64], access[8];
        if (sscanf(line, "Rss: %llu kB", &kib) == 1)
            *(of_other ? &r.others_kib : &r.own_kib) += kib;
        else if (sscanf(line, "%63[0-9a-f-] %7[rwxsp-] ", range, access) == 2)
            of_other = strcmp(access, "r--s") == 0 && strstr(line, "/memfd:penstock");
    }
    fclose(f);
    return r;
}

static void keep_most(residence *most, residence now)
{
    if (now.own_kib > most->own_kib)
        most->own_kib = now.own_kib;
    if (now.others_kib > most->others_kib)
        most->others_kib = now.others_kib;
}

/* ---- a cluster ---- */

typedef struct {
    pid_t ps;
    cluster_task server, workers[CLIENTS_MAX];
    bool share_memory;
    uint64_t model_mib;
    uint32_t worker_count;
    consistency_mode mode;
    float *weights; /* all clients pull to the same place */
} bench;

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 256) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &bytes) != 0)
        fail("a port", "cannot be listened on");
    *port = ntohs(at.sin_port);
    return fd;
}

static void start_ps(bench *b)
{
    static const volatile sig_atomic_t never;
    snprintf(b->server.host, sizeof b->server.host, "127.0.0.1");
    int fd = listen_somewhere(&b->server.port);
    b->ps = fork();
    if (b->ps != 0) {
        close(fd);
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const server_config config = {
        .listen_fd = fd,
        .port = b->server.port,
        .io_threads = 1,
        .share_memory = b->share_memory,
        .shard = {.incarnation = 1},
        .stop = &never,
    };
    ps_error error;
    server_run(&config, &error);
    _exit(EXIT_FAILURE); /* a ps that ends by itself has failed */
}

static ps_client *join(bench *b, uint32_t rank)
{
    cluster_spec cluster = {.present = true, .role = ROLE_WORKER, .index = rank, .rank = rank};
    cluster.jobs[ROLE_PS] = (cluster_job){.tasks = &b->server, .count = 1, .dense = true};
    cluster.jobs[ROLE_WORKER] = (cluster_job){.tasks = b->workers, .count = b->worker_count, .dense = true};
    ps_client_options options;
    ps_client_options_init(&options);
    options.share_memory = b->share_memory;
    options.job.mode = b->mode;
    if (b->worker_count > 1) /* then few of a connection's frames fit the queues on the way */
        options.job.slice_bytes = SLOW_SLICE_BYTES;
    ps_client *client;
    ps_error error = {PS_OK, ""};
    check(ps_connect(&cluster, &options, &client, &error), "a worker", &error);
    ps_client_options_fini(&options);
    tensor t = {.name = "w", .rank = 1, .shape = {(b->model_mib << 20) / sizeof(float)}};
    check(ps_declare(client, &t, &error), "a worker", &error);
    check(ps_join(client, JOIN_MS, &error), "a worker", &error);
    return client;
}

static void update(const bench *b, ps_client *client, uint64_t step, const float *gradient)
{
    const float *gradients[] = {gradient};
    float *weights[] = {b->weights};
    const ps_update push = {.step = step, .examples = 1, .gradients = gradients};
    ps_ticket ticket;
    ps_error error = {PS_OK, ""};
    check(ps_push_pull(client, &push, weights, &ticket, &error), "an update", &error);
    check(ps_wait(client, ticket, JOIN_MS, NULL, &error), "an update", &error);
}

/* Whose turn it is takes what has come, and asks for more when it has all. */
static void take_some(const bench *b, ps_client *slow, ps_ticket *ticket)
{
    float *weights[] = {b->weights};
    ps_error error = {PS_OK, ""};
    ps_status status = ps_wait(slow, *ticket, 0, NULL, &error);
    if (status == PS_OK)
        status = ps_pull(slow, 0, weights, ticket, &error);
    else if (status == PS_ETIMEDOUT)
        status = PS_OK;
    check(status, "a slow worker", &error);
    ps_progress(slow);
}

static void measure(bench *b, uint32_t updates)
{
    start_ps(b);
    float *weights[] = {NULL};
    static ps_client *slow[CLIENTS_MAX];
    static ps_ticket tickets[CLIENTS_MAX];
    ps_client *fast = join(b, 0);
    float *gradient = ps_allocate(fast, b->model_mib << 20);
    b->weights = weights[0] = malloc(b->model_mib << 20);
    if (!gradient || !b->weights)
        fail("memory", "there is too little");
    memset(gradient, 0, b->model_mib << 20);
    ps_error error = {PS_OK, ""};
    for (uint32_t s = 0; s + 1 < b->worker_count; s++) {
        slow[s] = join(b, s + 1);
        check(ps_pull(slow[s], 0, weights, &tickets[s], &error), "a slow worker", &error);
        ps_progress(slow[s]);
    }
    residence most = {0, 0};
    for (uint32_t step = 1; step <= updates; step++) {
        update(b, fast, step, gradient);
        if (b->worker_count > 1) {
            uint32_t turn = step % (b->worker_count - 1);
            take_some(b, slow[turn], &tickets[turn]);
        }
        keep_most(&most, look_at(b->ps));
    }
    printf("| %s | %4llu | %6u | %6llu | %6llu | %6llu |\n", b->share_memory ? "memory" : "socket",
           (unsigned long long)b->model_mib, b->worker_count, (unsigned long long)(2 * b->model_mib),
           (unsigned long long)(most.own_kib >> 10), (unsigned long long)(most.others_kib >> 10));
}

/* In a process of its own, whose end is that of all its clients and of the ps. */
static void measure_apart(bench b, uint32_t updates)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        measure(&b, updates);
        fflush(NULL);
        _exit(EXIT_SUCCESS);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail("a measurement", "failed");
}

static void say_columns(const char *title)
{
    printf("\n%s, MiB\n\n| via    | model | workers | stored | own, most | of workers |\n"
           "|--------|---:|---:|---:|---:|---:|\n",
           title);
}

int main(int argc, char **argv)
{
    uint64_t model_mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 64;
    uint32_t slow = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100;
    uint32_t updates = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 110;
    if (slow + 1 > CLIENTS_MAX || model_mib == 0)
        fail("usage", "[MIB] [SLOW WORKERS, at most 199] [UPDATES]");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    log_setup("bench", LOG_ERROR);

    say_columns("One synchronous worker");
    for (int shared = 0; shared < 2; shared++) {
        const uint64_t models_mib[] = {1, 64, 256};
        for (int i = 0; i < 3; i++)
            measure_apart((bench){.share_memory = shared,
                                  .model_mib = models_mib[i],
                                  .worker_count = 1,
                                  .mode = CONSISTENCY_SYNC},
                          LONE_UPDATES);
    }
    if (slow == 0)
        return EXIT_SUCCESS;
    say_columns("A fast asynchronous worker and slow ones that pull");
    for (int shared = 0; shared < 2; shared++)
        measure_apart((bench){.share_memory = shared,
                              .model_mib = model_mib,
                              .worker_count = slow + 1,
                              .mode = CONSISTENCY_ASYNC},
                      updates);
    return EXIT_SUCCESS;
}
