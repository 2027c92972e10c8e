/* bench_recovery.c - what do checkpoints cost a step, and how soon does training go on after a kill?
 *
 * Real penstock-ps processes, killed by SIGKILL and started again at once; workers that push and pull through
 * worker/client.h and compute nothing, one here and others in processes of this program. Times are from the
 * kill until a step is complete that needs the new process. Of a ps that has gone back, the steps that are
 * replayed do not count, only the first.
 *
 * For the pause, one ps keeps an image every few steps; steps are told apart by whether its manifest is there
 * yet. Half-way to the next image another process of the writer's priority checks and writes as many bytes: a
 * step is slowed by what that takes of the host, whoever writes, and by a pause only if the ps does. All
 * kinds come by turns, so that what else the host does hits each.
 *
 * Usage: bench_recovery FOLDER [MIB of the large model] [ROUNDS]      FOLDER is made, and emptied before each
 * part
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/checksum.h"
#include "common/clock.h"
#include "common/log.h"
#include "deploy/launch/ports.h"
#include "deploy/launch/programs.h"
#include "deploy/launch/tf_config.h"
#include "worker/client.h"

enum {
    SERVERS = 2,
    JOIN_MS = 120000,
    TEXT_MAX = 1024,
    ROUNDS_MAX = 1000,
    SAMPLE_MAX = 1 << 16,
    MNIST_TENSORS = 6,
    TENSORS_MAX = 1024,
    LARGE_TENSOR_BYTES = 4 << 20, /* of the large model: as much as a message holds */
    WARM_UP_STEPS = 4,
    WRITER_NICE = 10,        /* as in ps/archive_folder.c */
    OTHER_BYTES = 512 << 20, /* far more than caches hold, as an image */
    PAUSE_STEPS_MIN = 24,    /* between two images, so that some find nothing being written */
    PAUSE_STEPS_MAX = 250,
};

/* Within that, as many steps as go through so much. */
#define PAUSE_BYTES (UINT64_C(4) << 30)

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_recovery: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void check(ps_status status, const char *what, const ps_error *error)
{
    if (status != PS_OK)
        fail(what, error->text);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- a cluster ---- */

typedef struct {
    const char *folder;
    uint64_t model_bytes; /* 0: MNIST's 784-300-100-10 */
    uint64_t image_steps;
    uint32_t servers, workers;
    uint16_t ports[SERVERS], worker_ports[2];
    pid_t ps[SERVERS];
    char log[TEXT_MAX]; /* of all ps */
} cluster;

static void describe(const cluster *c, cluster_role role, uint32_t index, char text[TEXT_MAX])
{
    const local_cluster local = {
        .ports = {[ROLE_PS] = c->ports, [ROLE_WORKER] = c->worker_ports},
        .counts = {[ROLE_PS] = c->servers, [ROLE_WORKER] = c->workers},
    };
    ps_error error;
    check(tf_config_write(&local, role, index, text, TEXT_MAX, &error), "TF_CONFIG", &error);
}

static void start_ps(cluster *c, uint32_t index)
{
    char config[TEXT_MAX], path[TEXT_MAX], steps[32];
    ps_error error;
    describe(c, ROLE_PS, index, config);
    check(program_find("penstock-ps", "ps", NULL, path, sizeof path, &error), "penstock-ps", &error);
    snprintf(steps, sizeof steps, "%llu", (unsigned long long)c->image_steps);
    c->ps[index] = fork();
    if (c->ps[index] != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("TF_CONFIG", config, 1);
    int log = open(c->log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(log, STDERR_FILENO);
    execl(path, "penstock-ps", "--checkpoint-dir", c->folder, "--checkpoint-steps", steps, (char *)NULL);
    _exit(EXIT_FAILURE);
}

static void kill_hard(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void start(cluster *c)
{
    int sockets[SERVERS];
    ps_error error;
    char command[2 * TEXT_MAX];
    snprintf(command, sizeof command, "rm -rf '%s'/step-*", c->folder);
    if (system(command) != 0)
        fail(c->folder, "cannot be emptied");
    snprintf(c->log, sizeof c->log, "%s/ps.log", c->folder);
    unlink(c->log);
    for (uint32_t i = 0; i < c->servers; i++)
        check(port_reserve(false, &sockets[i], &c->ports[i], &error), "a port", &error);
    for (uint32_t i = 0; i < c->servers; i++)
        close(sockets[i]);
    for (uint16_t i = 0; i < 2; i++)
        c->worker_ports[i] = (uint16_t)(1 + i); /* nobody connects to a worker */
    for (uint32_t i = 0; i < c->servers; i++)
        start_ps(c, i);
}

static void end(cluster *c)
{
    for (uint32_t i = 0; i < c->servers; i++)
        kill_hard(c->ps[i]);
}

/* ---- a worker ---- */

typedef struct {
    ps_client *client;
    uint32_t tensors;
    float *weights[TENSORS_MAX];
    const float *gradients[TENSORS_MAX];
    uint64_t step; /* the next one */
} worker;

static uint32_t tensor_count(uint64_t model_bytes)
{
    return model_bytes > 0 ? (uint32_t)(model_bytes / LARGE_TENSOR_BYTES) : MNIST_TENSORS;
}

static tensor tensor_of(uint64_t model_bytes, uint32_t i)
{
    static const uint64_t mnist[MNIST_TENSORS][2] = {{784, 300}, {300}, {300, 100}, {100}, {100, 10}, {10}};
    tensor t = {.rank = 1, .shape = {LARGE_TENSOR_BYTES / sizeof(float)}};
    if (model_bytes == 0) {
        t.rank = mnist[i][1] > 0 ? 2 : 1;
        t.shape[0] = mnist[i][0];
        t.shape[1] = mnist[i][1];
    }
    snprintf(t.name, sizeof t.name, "t%u", i);
    return t;
}

/* Joins, and pulls. */
static void begin(worker *w)
{
    ps_ticket ticket;
    ps_result result;
    ps_error error;
    check(ps_join(w->client, JOIN_MS, &error), "a worker", &error);
    check(ps_pull(w->client, 0, w->weights, &ticket, &error), "a worker", &error);
    check(ps_wait(w->client, ticket, JOIN_MS, &result, &error), "a worker", &error);
    w->step = ps_joined_step(w->client) + 1;
}

static void open_worker(worker *w, const char *tf_config, uint64_t model_bytes)
{
    cluster_spec spec;
    cluster_warning warning;
    ps_client_options options;
    ps_error error;
    const cluster_source source = {.daemon = ROLE_WORKER, .tf_config = tf_config};
    check(cluster_parse(&source, &spec, &warning, NULL, 0, &error), "TF_CONFIG", &error);
    ps_client_options_init(&options);
    options.job.optimizer.kind = OPTIMIZER_MOMENTUM;
    check(ps_connect(&spec, &options, &w->client, &error), "a worker", &error);
    cluster_fini(&spec);
    ps_client_options_fini(&options);
    w->tensors = tensor_count(model_bytes);
    for (uint32_t i = 0; i < w->tensors; i++) {
        const tensor t = tensor_of(model_bytes, i);
        size_t bytes = tensor_elements(&t) * sizeof(float);
        check(ps_declare(w->client, &t, &error), "a worker", &error);
        w->weights[i] = ps_allocate(w->client, bytes);
        w->gradients[i] = ps_allocate(w->client, bytes);
        if (!w->weights[i] || !w->gradients[i])
            fail("memory", "there is too little");
    }
    begin(w);
}

/* PS_EROLLBACK: the ps have gone back. */
static ps_status do_step(worker *w)
{
    const ps_update update = {.step = w->step, .examples = 1, .gradients = w->gradients};
    ps_ticket ticket;
    ps_error error;
    ps_status status = ps_push_pull(w->client, &update, w->weights, &ticket, &error);
    if (status == PS_OK)
        status = ps_wait(w->client, ticket, JOIN_MS, NULL, &error);
    if (status != PS_OK && status != PS_EROLLBACK)
        fail("a step", error.text);
    w->step += status == PS_OK;
    return status;
}

/* What the other workers' processes do, until they are killed. */
static void work_for_ever(const char *tf_config)
{
    worker w;
    open_worker(&w, tf_config, 0);
    for (;;)
        if (do_step(&w) == PS_EROLLBACK)
            begin(&w);
}

static pid_t start_worker(const cluster *c)
{
    char config[TEXT_MAX];
    describe(c, ROLE_WORKER, 1, config);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl("/proc/self/exe", "bench_recovery", "--worker", config, (char *)NULL);
    _exit(EXIT_FAILURE);
}

static void open_first(worker *w, const cluster *c)
{
    char config[TEXT_MAX];
    describe(c, ROLE_WORKER, 0, config);
    open_worker(w, config, c->model_bytes);
}

/* ---- figures ---- */

typedef struct {
    double values[SAMPLE_MAX];
    uint32_t count;
} sample;

static void add(sample *s, double value)
{
    if (s->count < SAMPLE_MAX)
        s->values[s->count++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(sample *s, double q)
{
    if (s->count == 0)
        return NAN;
    qsort(s->values, s->count, sizeof s->values[0], compare);
    return s->values[(uint32_t)(q * (s->count - 1) + 0.5)];
}

static void say_columns(void)
{
    printf("| %-58s | %9s | %9s | %9s |\n", "ms", "median", "p99", "most");
    printf("|%s|----------:|----------:|----------:|\n",
           "------------------------------------------------------------");
}

static void say(const char *title, sample *s)
{
    printf("| %-58s | %9.1f | %9.1f | %9.1f |\n", title, quantile(s, 0.5), quantile(s, 0.99), quantile(s, 1));
    fflush(stdout);
}

/* ---- what is measured ---- */

static bool is_kept(const cluster *c, uint64_t step)
{
    for (uint32_t i = 0; i < c->servers; i++) {
        char path[2 * TEXT_MAX];
        snprintf(path, sizeof path, "%s/step-%012llu/ps-%u-of-%u.json", c->folder, (unsigned long long)step,
                 i, c->servers);
        if (access(path, F_OK) != 0)
            return false;
    }
    return true;
}

/* Is there a checkpoint from `least` on? A slow disk may have left some out. */
static bool has_kept(const cluster *c, uint64_t least, uint64_t step)
{
    uint64_t image = step / c->image_steps * c->image_steps;
    while (image >= least && !is_kept(c, image))
        image -= c->image_steps;
    return image >= least;
}

/* What else the host does during a step. */
typedef enum { NOTHING_WRITTEN, IMAGE_WRITTEN, OTHER_WRITTEN, MEANWHILE_COUNT } meanwhile;

typedef struct {
    sample step, first, next;
} pauses;

/* One step, and when its weights come: the first when all has been pushed and applied, then tensor by tensor.
 */
static void time_step(worker *w, pauses *into)
{
    const ps_update update = {.step = w->step, .examples = 1, .gradients = w->gradients};
    const double begun = now_ms();
    ps_ticket ticket;
    ps_error error;
    check(ps_push_pull(w->client, &update, w->weights, &ticket, &error), "a step", &error);
    double before = begun;
    for (uint32_t t = 0; t < w->tensors; t++) {
        check(ps_wait_weights(w->client, ticket, t, 1, JOIN_MS, &error), "a step", &error);
        const double now = now_ms();
        if (into)
            add(t == 0 ? &into->first : &into->next, now - before);
        before = now;
    }
    check(ps_wait(w->client, ticket, JOIN_MS, NULL, &error), "a step", &error);
    w->step++;
    if (into)
        add(&into->step, now_ms() - begun);
}

/* A process that does what the writer of images does: looks at all bytes, and writes them to a file. */
static pid_t start_other_writer(const char *folder, uint64_t bytes)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char path[TEXT_MAX];
    snprintf(path, sizeof path, "%s/other", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unsigned char *array = malloc(OTHER_BYTES);
    if (fd < 0 || !array || nice(WRITER_NICE) == -1)
        _exit(EXIT_FAILURE);
    memset(array, 1, OTHER_BYTES);
    volatile uint32_t sum = 0;
    for (uint64_t done = 0; done < bytes; done += LARGE_TENSOR_BYTES) {
        const unsigned char *piece = array + done % OTHER_BYTES;
        sum = checksum_more(sum, piece, LARGE_TENSOR_BYTES);
        if (write(fd, piece, LARGE_TENSOR_BYTES) != LARGE_TENSOR_BYTES)
            _exit(EXIT_FAILURE);
    }
    fsync(fd);
    unlink(path);
    _exit(EXIT_SUCCESS);
}

static bool still_runs(pid_t *pid)
{
    int status;
    if (*pid > 0 && waitpid(*pid, &status, WNOHANG) == *pid) {
        if (status != 0)
            fail("the other writer", "cannot write");
        *pid = 0;
    }
    return *pid > 0;
}

static void measure_pause(const char *folder, uint64_t model_bytes, uint32_t images)
{
    uint64_t steps = PAUSE_BYTES / model_bytes;
    steps = steps < PAUSE_STEPS_MIN ? PAUSE_STEPS_MIN : steps > PAUSE_STEPS_MAX ? PAUSE_STEPS_MAX : steps;
    cluster c = {
        .folder = folder, .model_bytes = model_bytes, .image_steps = steps, .servers = 1, .workers = 1};
    static const char *const names[MEANWHILE_COUNT] = {"nothing", "an image", "as much by another process"};
    static pauses found[MEANWHILE_COUNT];
    worker w;
    pid_t other = 0;
    start(&c);
    open_first(&w, &c);
    while (w.step <= c.image_steps * (images + 1)) {
        const uint64_t image = (w.step - 1) / c.image_steps * c.image_steps;
        const bool image_written = image > 0 && !is_kept(&c, image);
        if (image > 0 && w.step == image + c.image_steps / 2 && !image_written)
            other = start_other_writer(folder, 2 * model_bytes); /* weights and momentum */
        const meanwhile kind = image_written        ? IMAGE_WRITTEN
                               : still_runs(&other) ? OTHER_WRITTEN
                                                    : NOTHING_WRITTEN;
        time_step(&w, w.step > WARM_UP_STEPS ? &found[kind] : NULL);
    }
    while (still_runs(&other))
        time_step(&w, NULL);
    end(&c);
    for (int kind = 0; kind < MEANWHILE_COUNT; kind++) {
        char title[128];
        snprintf(title, sizeof title, "step of %llu MiB, written meanwhile: %s",
                 (unsigned long long)model_bytes >> 20, names[kind]);
        say(title, &found[kind].step);
        say("    until the first of its weights are there", &found[kind].first);
        say("    from there, between 4 MiB of them and the next", &found[kind].next);
    }
}

/* The sum of what ps say that reading took, since the log was that long. */
static double read_ms_since(const cluster *c, long offset)
{
    FILE *log = fopen(c->log, "r");
    char line[2048];
    double sum = 0;
    if (!log || fseek(log, offset, SEEK_SET) != 0)
        fail(c->log, "cannot be read");
    while (fgets(line, sizeof line, log)) {
        unsigned long long step, ms;
        const char *text = strstr(line, "checkpoint of step");
        if (text && sscanf(text, "checkpoint of step %llu read in %llu ms", &step, &ms) == 2)
            sum += (double)ms;
    }
    fclose(log);
    return sum;
}

static void measure_ps(const char *folder, uint64_t model_bytes, uint32_t rounds)
{
    cluster c = {.folder = folder,
                 .model_bytes = model_bytes,
                 .image_steps = model_bytes > 0 ? 4 : 100,
                 .servers = model_bytes > 0 ? 1 : SERVERS,
                 .workers = 1};
    const char *model = model_bytes > 0 ? "large model" : "MNIST, 2 ps";
    worker w;
    static sample noticed, joined, all, reading;
    noticed.count = joined.count = all.count = reading.count = 0;
    start(&c);
    open_first(&w, &c);
    uint64_t kept = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        uint64_t target = kept + c.image_steps;
        while (w.step <= target + c.image_steps / 2 || !has_kept(&c, target, w.step - 1))
            do_step(&w);
        struct stat before;
        stat(c.log, &before);
        double killed = now_ms();
        kill_hard(c.ps[0]);
        start_ps(&c, 0);
        ps_status status = do_step(&w); /* PS_OK if it comes back at this very step */
        double seen = now_ms();
        if (status != PS_OK)
            begin(&w);
        double back = now_ms();
        while (status != PS_OK && (status = do_step(&w)) != PS_OK)
            begin(&w);
        add(&noticed, seen - killed);
        add(&joined, back - seen);
        add(&all, now_ms() - killed);
        add(&reading, read_ms_since(&c, before.st_size));
        kept = (w.step - 1) / c.image_steps * c.image_steps;
    }
    end(&c);
    char title[128];
    snprintf(title, sizeof title, "a ps is killed, %s: until a step is complete", model);
    say(title, &all);
    say("    until the worker hears of it", &noticed);
    say("    from there until it has joined and has weights", &joined);
    say("    of it reading the checkpoint", &reading);
}

static void measure_worker(const char *folder, uint32_t rounds)
{
    cluster c = {.folder = folder, .image_steps = 100, .servers = SERVERS, .workers = 2};
    worker w;
    static sample all;
    all.count = 0;
    start(&c);
    pid_t other = start_worker(&c);
    open_first(&w, &c);
    for (uint32_t round = 0; round < rounds; round++) {
        for (int i = 0; i < 50; i++)
            do_step(&w);
        double killed = now_ms();
        kill_hard(other);
        other = start_worker(&c);
        for (int i = 0; i < 3; i++) /* of two it may have had a part */
            do_step(&w);
        add(&all, now_ms() - killed);
    }
    kill_hard(other);
    end(&c);
    say("a worker is killed, MNIST, 2 ps: until a step is complete", &all);
}

int main(int argc, char **argv)
{
    log_setup("bench", LOG_ERROR);
    if (argc == 3 && strcmp(argv[1], "--worker") == 0)
        work_for_ever(argv[2]);
    if (argc < 2 || argc > 4)
        fail("usage", "FOLDER [MIB] [ROUNDS]");
    const char *folder = argv[1];
    uint64_t mib = argc > 2 ? strtoull(argv[2], NULL, 10) : 64;
    uint32_t rounds = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 9;
    if (mib < 4 || mib > 4096 || rounds == 0 || rounds > ROUNDS_MAX)
        fail("usage", "FOLDER [MIB, 4 to 4096] [ROUNDS, 1 to 1000]");
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        fail(folder, strerror(errno));
    say_columns();
    measure_pause(folder, mib << 20, rounds);
    measure_ps(folder, 0, rounds);
    measure_worker(folder, rounds);
    measure_ps(folder, mib << 20, rounds < 5 ? rounds : 5);
    return EXIT_SUCCESS;
}
