/* bench_training.c - what does a cluster cost? MNIST images/s of a synchronous cluster on this host, beside
 * the same arithmetic without any server.
 *
 * The floor: as many independent processes as there are workers, each gathering batches, computing gradients
 * and applying plain SGD to weights of its own, all at once on the same cores. Cluster and floor take turns;
 * a row is the median of the turns, its ratio the median of the turns' ratios. Run it on an idle host:
 *
 *     build/release/tests/bench_training build/release/deploy/penstock "$(deploy/fetch-mnist)" [PS [WORKERS]]
 */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fpmode.h"
#include "common/random.h"
#include "deploy/placement.h"
#include "ps/optimizer.h"
#include "worker/blas_select.h"
#include "worker/dataset.h"
#include "worker/mlp.h"
#include "worker/sampler.h"

enum { TURNS = 5, IMAGES_PER_TURN = 180000, WORKERS_MAX = 64 };

static const uint32_t batches[] = {50, 500};
enum { BATCHES = sizeof batches / sizeof batches[0] };

typedef struct {
    const char *launcher, *data_folder;
    uint32_t servers, workers;
} bench;

static void fail(const char *what)
{
    fprintf(stderr, "bench_training: %s\n", what);
    exit(EXIT_FAILURE);
}

static void *allocate(size_t count, size_t bytes)
{
    void *memory = aligned_alloc(64, (count * bytes + 63) / 64 * 64);
    if (!memory)
        fail("out of memory");
    memset(memory, 0, count * bytes);
    return memory;
}

/* ---- the floor ---- */

typedef struct {
    dataset *data;
    backend *cpu;
    mlp *model;
    uint64_t parameters;
    float *weights, *gradients, *features;
    uint32_t *labels;
    uint64_t *rows;
} lone_worker;

static void lone_init(lone_worker *w, const char *data_folder, uint32_t batch)
{
    ps_error error;
    fpmode_flush_denormals();
    if (dataset_open(data_folder, DATASET_TRAIN, 0, &w->data, &error) != PS_OK)
        fail(error.text);
    mlp_config config = {
        .inputs = dataset_features(w->data),
        .hidden = {300, 100},
        .hidden_count = 2,
        .classes = dataset_classes(w->data),
        .activation = ACTIVATION_RELU,
        .kernel_init = {.kind = INITIALIZER_HE_NORMAL},
    };
    tensor_table table = {0};
    if (backend_cpu_create(1, &w->cpu, &error) != PS_OK ||
        mlp_create(&config, w->cpu, batch, &w->model, &error) != PS_OK ||
        mlp_declare(&config, &table, &error) != PS_OK)
        fail(error.text);
    w->parameters = tensor_table_elements(&table);
    w->weights = allocate(w->parameters, sizeof(float));
    w->gradients = allocate(w->parameters, sizeof(float));
    w->features = allocate((size_t)batch * config.inputs, sizeof(float));
    w->labels = allocate(batch, sizeof(uint32_t));
    w->rows = allocate(batch, sizeof(uint64_t));
    float *place = w->weights;
    for (uint32_t i = 0; i < table.count; i++) {
        uint64_t count = tensor_elements(&table.tensors[i]);
        random_initialize(&table.tensors[i], 1, 0, count, place);
        place += count;
    }
    tensor_table_fini(&table);
}

static void lone_steps(lone_worker *w, const sampler *order, uint32_t rank, uint64_t first, uint64_t steps)
{
    const optimizer_config sgd = {.kind = OPTIMIZER_SGD};
    for (uint64_t step = first; step < first + steps; step++) {
        uint32_t count = sampler_rows(order, step, rank, w->rows);
        if (count == 0)
            continue;
        dataset_gather(w->data, w->rows, count, w->features, w->labels);
        double loss;
        uint32_t correct;
        if (mlp_gradient(w->model, w->weights, w->features, w->labels, count, w->gradients, NULL, &loss,
                         &correct) != PS_OK)
            fail("the gradient failed");
        optimizer_gradient gradient = {.values = w->gradients, .weight = 1.0f};
        optimizer_step update = {
            .weights = w->weights,
            .next = w->weights,
            .gradients = &gradient,
            .gradient_count = 1,
            .count = w->parameters,
            .learning_rate = 0.01f,
            .update = step,
        };
        optimizer_apply(&sgd, &update);
    }
}

/* The launcher pins the cluster's processes where processors are few; the floor gets the same. */
static void pin_alike(const bench *b, uint32_t rank)
{
    int processors[PLACEMENT_PROCESSORS_MAX];
    size_t count = placement_processors(processors);
    if (!placement_pins(PIN_AUTO, count, b->workers, b->servers, false))
        return;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET((size_t)processors[rank % count], &only);
    if (sched_setaffinity(0, sizeof only, &only) != 0)
        fail("cannot pin a process of the floor");
}

/* One process of the floor: says it is ready, waits for the start, works, says how long it took. */
static void lone_process(const bench *b, uint32_t batch, uint64_t steps, uint32_t rank, int ready, int start,
                         int result)
{
    pin_alike(b, rank);
    lone_worker w;
    lone_init(&w, b->data_folder, batch);
    sampler order = {.seed = 1, .rows = dataset_rows(w.data), .workers = b->workers, .batch = batch};
    lone_steps(&w, &order, rank, 1, 20); /* warm up */
    char byte = 0;
    if (write(ready, &byte, 1) != 1 || read(start, &byte, 1) != 1)
        fail("a process of the floor was left alone");
    double began = clock_monotonic_seconds();
    lone_steps(&w, &order, rank, 21, steps);
    double took = clock_monotonic_seconds() - began;
    if (write(result, &took, sizeof took) != sizeof took)
        fail("a process of the floor could not report");
    _exit(EXIT_SUCCESS);
}

static void open_pipe(int ends[2])
{
    if (pipe(ends) != 0)
        fail("no pipe");
}

static double floor_images_per_second(const bench *b, uint32_t batch, uint64_t steps)
{
    int ready[2], start[2], result[2];
    open_pipe(ready);
    open_pipe(start);
    open_pipe(result);
    for (uint32_t rank = 0; rank < b->workers; rank++) {
        pid_t pid = fork();
        if (pid < 0)
            fail("fork failed");
        if (pid == 0)
            lone_process(b, batch, steps, rank, ready[1], start[0], result[1]);
    }
    char byte = 0;
    for (uint32_t i = 0; i < b->workers; i++)
        if (read(ready[0], &byte, 1) != 1)
            fail("a process of the floor died");
    char go[WORKERS_MAX] = {0};
    if (write(start[1], go, b->workers) != (ssize_t)b->workers)
        fail("cannot start the floor");
    double slowest = 0;
    for (uint32_t i = 0; i < b->workers; i++) {
        double took;
        if (read(result[0], &took, sizeof took) != sizeof took)
            fail("a process of the floor died");
        slowest = took > slowest ? took : slowest;
    }
    while (wait(NULL) > 0)
        ;
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(start[i]);
        close(result[i]);
    }
    return (double)(steps * batch * b->workers) / slowest;
}

/* ---- the cluster ---- */

static double cluster_images_per_second(const bench *b, uint32_t batch, uint64_t steps)
{
    char folder[] = "/tmp/penstock-bench-XXXXXX";
    if (!mkdtemp(folder))
        fail("no temporary folder");
    char command[4096];
    snprintf(
        command, sizeof command,
        "'%s' run --ps %u --workers %u --run-dir %s/run -- --data-folder '%s' --batch-size %u --steps %llu "
        "--evaluate-every 0 2>%s/errors",
        b->launcher, b->servers, b->workers, folder, b->data_folder, batch, (unsigned long long)steps,
        folder);
    FILE *output = popen(command, "r");
    if (!output)
        fail("cannot start the launcher");
    char line[512];
    double rate = 0;
    while (fgets(line, sizeof line, output)) {
        if (strncmp(line, "throughput", 10) != 0)
            continue;
        for (const char *c = line + 10; *c; c++) /* digits, grouped by commas */
            if (*c >= '0' && *c <= '9')
                rate = rate * 10 + (*c - '0');
    }
    if (pclose(output) != 0 || rate == 0) {
        fprintf(stderr, "bench_training: the cluster failed; its logs are in %s/run\n", folder);
        exit(EXIT_FAILURE);
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        fail("cannot remove the temporary folder");
    return rate;
}

/* ---- the table ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, TURNS, sizeof *values, by_value);
    return values[TURNS / 2];
}

static void measure(const bench *b, uint32_t batch)
{
    uint64_t steps = IMAGES_PER_TURN / ((uint64_t)batch * b->workers);
    double alone[TURNS], cluster[TURNS], ratio[TURNS];
    for (int turn = 0; turn < TURNS; turn++) {
        alone[turn] = floor_images_per_second(b, batch, steps);
        cluster[turn] = cluster_images_per_second(b, batch, steps);
        ratio[turn] = cluster[turn] / alone[turn];
    }
    printf("%8u %18.0f %18.0f %9.1f %%\n", batch, median(alone), median(cluster), median(ratio) * 100);
    fflush(stdout);
}

static uint32_t parse_count(const char *text)
{
    unsigned long count = strtoul(text, NULL, 10);
    if (count < 1 || count > WORKERS_MAX)
        fail("numbers of ps and workers are 1 to 64");
    return (uint32_t)count;
}

int main(int argc, char **argv)
{
    char line[512];
    ps_error error;
    if (argc < 3) {
        fprintf(stderr, "usage: bench_training LAUNCHER DATA_FOLDER [PS [WORKERS]]\n");
        return PS_EXIT_USAGE;
    }
    if (blas_select(argv, line, sizeof line, &error) != PS_OK)
        fail(error.text);
    bench b = {
        .launcher = argv[1],
        .data_folder = argv[2],
        .servers = argc > 3 ? parse_count(argv[3]) : 2,
        .workers = argc > 4 ? parse_count(argv[4]) : 2,
    };
    printf("%u ps, %u workers, synchronous, 784-300-100-10; images/s, median of %d turns\n", b.servers,
           b.workers, TURNS);
    printf("%8s %18s %18s %11s\n", "batch", "without servers", "cluster", "ratio");
    for (int i = 0; i < BATCHES; i++)
        measure(&b, batches[i]);
    return 0;
}
