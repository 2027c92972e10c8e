/* bench_log.c - what does --durability log cost, and how much of that is the disk's?
 *
 * Two ps in processes of their own, one with a log and one without, and a worker of each, asynchronous, plain
 * SGD, through shared memory. By turns: a batch of push_pulls without the log, the same with it, and as many
 * bytes written to a file beside the log and made durable by one fdatasync, which is the least that any log
 * has to do. Medians of all turns, per push_pull: one under way, and several, whose records may become
 * durable together; the floor then syncs as many at once.
 *
 * Usage: bench_log [FOLDER]      (.) on the disk that is meant; some 3 GB are written to it, and removed */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "ps/server.h"
#include "worker/client.h"

enum { JOIN_MS = 60000, TURNS_MAX = 200, TURNS_MIN = 15, SEVERAL = 4, BUDGET_BYTES = 256 << 20 };

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_log: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void check(ps_status status, const char *what, const ps_error *error)
{
    if (status != PS_OK)
        fail(what, error->text);
}

/* ---- one side: a ps and its worker ---- */

typedef struct {
    ps_client *client;
    float *gradient, *weights[SEVERAL];
    uint64_t step;
} side;

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &bytes) != 0)
        fail("a port", "cannot be listened on");
    *port = ntohs(at.sin_port);
    return fd;
}

static void start_ps(const char *folder, cluster_task *at)
{
    static const volatile sig_atomic_t never;
    snprintf(at->host, sizeof at->host, "127.0.0.1");
    int fd = listen_somewhere(&at->port);
    fflush(NULL);
    if (fork() != 0) {
        close(fd);
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const server_config config = {
        .listen_fd = fd,
        .port = at->port,
        .io_threads = 1,
        .share_memory = true,
        .checkpoint_folder = folder,
        .checkpoint_keep = 2,
        .log_updates = folder != NULL,
        .shard = {.incarnation = 1},
        .stop = &never,
    };
    ps_error error;
    server_run(&config, &error);
    fprintf(stderr, "bench_log: a ps: %s\n", error.text); /* one that ends by itself has failed */
    _exit(EXIT_FAILURE);
}

static side join(const char *folder, uint64_t bytes)
{
    cluster_task server = {.index = 0}, worker = {.host = "w"};
    side s = {.step = 0};
    start_ps(folder, &server);
    cluster_spec cluster = {.present = true, .role = ROLE_WORKER};
    cluster.jobs[ROLE_PS] = (cluster_job){.tasks = &server, .count = 1, .dense = true};
    cluster.jobs[ROLE_WORKER] = (cluster_job){.tasks = &worker, .count = 1, .dense = true};
    ps_client_options options;
    ps_client_options_init(&options);
    options.job.mode = CONSISTENCY_ASYNC;
    ps_error error = {PS_OK, ""};
    check(ps_connect(&cluster, &options, &s.client, &error), "a worker", &error);
    ps_client_options_fini(&options);
    const tensor t = {.name = "w", .rank = 1, .shape = {bytes / sizeof(float)}};
    check(ps_declare(s.client, &t, &error), "a worker", &error);
    check(ps_join(s.client, JOIN_MS, &error), "a worker", &error);
    s.gradient = ps_allocate(s.client, bytes);
    for (int i = 0; i < SEVERAL; i++)
        if (!(s.weights[i] = ps_allocate(s.client, bytes)))
            fail("memory", "there is too little");
    if (!s.gradient)
        fail("memory", "there is too little");
    return s;
}

/* Nanoseconds of `count` push_pulls under way together, all over. */
static double exchange(side *s, uint32_t count)
{
    const float *gradients[] = {s->gradient};
    ps_ticket tickets[SEVERAL];
    ps_error error = {PS_OK, ""};
    const uint64_t begun = clock_monotonic_ns();
    for (uint32_t i = 0; i < count; i++) {
        float *weights[] = {s->weights[i]};
        const ps_update push = {.step = ++s->step, .examples = 1, .gradients = gradients};
        check(ps_push_pull(s->client, &push, weights, &tickets[i], &error), "a push_pull", &error);
    }
    for (uint32_t i = 0; i < count; i++)
        check(ps_wait(s->client, tickets[i], JOIN_MS, NULL, &error), "a push_pull", &error);
    return (double)(clock_monotonic_ns() - begun);
}

/* ---- the floor ---- */

static double write_and_sync(int fd, const void *bytes, size_t count, uint32_t times)
{
    const uint64_t begun = clock_monotonic_ns();
    for (uint32_t i = 0; i < times; i++)
        if (write(fd, bytes, count) != (ssize_t)count)
            fail("the floor", "its file cannot be written");
    if (fdatasync(fd) != 0)
        fail("the floor", "its file cannot be synced");
    return (double)(clock_monotonic_ns() - begun);
}

/* ---- turns ---- */

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

static void measure(const char *folder, const char *floor_path, uint64_t bytes, uint32_t under_way)
{
    static double without[TURNS_MAX], with[TURNS_MAX], floors[TURNS_MAX];
    uint64_t turns = BUDGET_BYTES / (bytes * under_way);
    turns = turns > TURNS_MAX ? TURNS_MAX : turns < TURNS_MIN ? TURNS_MIN : turns;
    side plain = join(NULL, bytes), logged = join(folder, bytes);
    int fd = open(floor_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        fail(floor_path, "cannot be opened");
    exchange(&plain, under_way);
    exchange(&logged, under_way);
    write_and_sync(fd, logged.gradient, bytes, under_way);
    for (uint64_t i = 0; i < turns; i++) {
        without[i] = exchange(&plain, under_way) / under_way;
        with[i] = exchange(&logged, under_way) / under_way;
        floors[i] = write_and_sync(fd, logged.gradient, bytes, under_way) / under_way;
    }
    const double a = median(without, (uint32_t)turns), b = median(with, (uint32_t)turns),
                 c = median(floors, (uint32_t)turns);
    printf("| %5llu KB | %u | %8.0f | %8.0f | %8.0f | %5.2f |\n", (unsigned long long)(bytes >> 10),
           under_way, a * 1e-3, b * 1e-3, c * 1e-3, (b - a) / c);
    close(fd);
    unlink(floor_path);
}

static void measure_apart(const char *root, uint64_t bytes, uint32_t under_way)
{
    char folder[4096], path[4200], command[8400];
    snprintf(folder, sizeof folder, "%s/bench-log-XXXXXX", root);
    if (!mkdtemp(folder))
        fail(root, "no folder can be made there");
    snprintf(path, sizeof path, "%s/floor", folder);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        measure(folder, path, bytes, under_way);
        fflush(NULL);
        _exit(EXIT_SUCCESS);
    }
    int status;
    bool failed = child < 0 || waitpid(child, &status, 0) != child || status != 0;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0 || failed)
        fail("a measurement", "failed");
}

int main(int argc, char **argv)
{
    const char *root = argc > 1 ? argv[1] : ".";
    static const uint64_t sizes[] = {4 << 10, 64 << 10, 1 << 20, 4 << 20, 16 << 20};
    log_setup("bench", LOG_ERROR);
    printf("push_pull, us\n\n| step | under way | without log | with log | disk alone | more / disk |\n"
           "|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        measure_apart(root, sizes[i], 1);
        measure_apart(root, sizes[i], SEVERAL);
    }
    return EXIT_SUCCESS;
}
