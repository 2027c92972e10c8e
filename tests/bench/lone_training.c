/* lone_training.c - see lone_training.h. */
#include "tests/bench/lone_training.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fpmode.h"
#include "common/random.h"
#include "deploy/launch/placement.h"
#include "ps/optimizer.h"
#include "worker/backend_cpu.h"
#include "worker/dataset.h"
#include "worker/mlp.h"
#include "worker/sampler.h"

/* Where processes in step meet; shared by all of them. */
typedef struct {
    pthread_barrier_t barrier;
    bool go; /* rank 0 says whether there is another step */
} meeting;

typedef struct {
    lone_setup setup;
    uint32_t rank;
    meeting *meeting; /* NULL: everyone at his own pace */
} lone_plan;

typedef struct {
    dataset *data;
    backend *cpu;
    mlp *model;
    uint64_t parameters;
    float *weights, *gradients, *features;
    uint32_t *labels;
    uint64_t *rows;
    sampler order;
    uint32_t rank;
    meeting *meeting;
    uint64_t step;
} lone_worker;

static void *allocate(size_t count, size_t bytes)
{
    void *memory = aligned_alloc(64, (count * bytes + 63) / 64 * 64);
    if (!memory)
        _exit(PS_EXIT_FAILURE);
    memset(memory, 0, count * bytes);
    return memory;
}

static void initialise(lone_worker *w, const tensor_table *table)
{
    w->parameters = tensor_table_elements(table);
    w->weights = allocate(w->parameters, sizeof(float));
    w->gradients = allocate(w->parameters, sizeof(float));
    float *place = w->weights;
    for (uint32_t i = 0; i < table->count; i++) {
        random_initialize(&table->tensors[i], 1, 0, tensor_elements(&table->tensors[i]), place);
        place += tensor_elements(&table->tensors[i]);
    }
}

static ps_status open_worker(lone_worker *w, const lone_plan *plan, ps_error *error)
{
    uint32_t batch = plan->setup.batch;
    fpmode_flush_denormals();
    ps_status status = dataset_open(plan->setup.data_folder, DATASET_TRAIN, 0, &w->data, error);
    if (status != PS_OK)
        return status;
    const mlp_config config = {
        .inputs = dataset_features(w->data),
        .hidden = {300, 100},
        .hidden_count = 2,
        .classes = dataset_classes(w->data),
        .activation = ACTIVATION_RELU,
        .kernel_init = {.kind = INITIALIZER_HE_NORMAL},
    };
    tensor_table table = {0};
    status = backend_cpu_create(1, &w->cpu, error);
    if (status == PS_OK)
        status = mlp_create(&config, w->cpu, batch, &w->model, error);
    if (status == PS_OK)
        status = mlp_declare(&config, &table, error);
    if (status != PS_OK)
        return status;
    initialise(w, &table);
    tensor_table_fini(&table);
    w->features = allocate((size_t)batch * config.inputs, sizeof(float));
    w->labels = allocate(batch, sizeof(uint32_t));
    w->rows = allocate(batch, sizeof(uint64_t));
    w->order =
        (sampler){.seed = 1, .rows = dataset_rows(w->data), .workers = plan->setup.workers, .batch = batch};
    w->rank = plan->rank;
    w->meeting = plan->meeting;
    return PS_OK;
}

static ps_status take_step(lone_worker *w, ps_error *error)
{
    static const optimizer_config sgd = {.kind = OPTIMIZER_SGD};
    uint32_t count = sampler_rows(&w->order, ++w->step, w->rank, w->rows), correct;
    double loss;
    if (count == 0)
        return PS_OK;
    dataset_gather(w->data, w->rows, count, w->features, w->labels);
    ps_status status = mlp_gradient(w->model, w->weights, w->features, w->labels, count, w->gradients, NULL,
                                    &loss, &correct);
    if (status != PS_OK)
        return ps_fail(error, status, "the gradient failed");
    const optimizer_gradient gradient = {.values = codec_plain(w->gradients, w->parameters), .weight = 1.0f};
    const optimizer_step update = {
        .weights = w->weights,
        .next = w->weights,
        .gradients = &gradient,
        .gradient_count = 1,
        .count = w->parameters,
        .learning_rate = 0.01f,
        .update = w->step,
    };
    optimizer_apply(&sgd, &update);
    return PS_OK;
}

static bool step_begins(const lone_worker *w, pace *p)
{
    if (!w->meeting)
        return pace_begins(p);
    if (w->rank == 0)
        w->meeting->go = pace_begins(p);
    pthread_barrier_wait(&w->meeting->barrier);
    bool go = w->meeting->go;
    pthread_barrier_wait(&w->meeting->barrier); /* before rank 0 may say something else */
    if (w->rank > 0)
        p->operations += go;
    return go;
}

static void body(int channel, void *argument)
{
    lone_worker w = {.step = 0};
    actor_order order;
    ps_error error;
    if (open_worker(&w, argument, &error) != PS_OK)
        actor_refuse(channel, &error);
    while (actor_take_order(channel, &order)) {
        actor_answer answer = {.error.status = PS_OK};
        ps_status status = PS_OK;
        pace p = pace_start(&order);
        while (status == PS_OK && step_begins(&w, &p))
            status = take_step(&w, &answer.error);
        answer.operations = p.operations;
        answer.seconds = clock_monotonic_seconds() - p.start;
        actor_answer_order(channel, &answer);
    }
}

/* Lives as long as this process and those it forks. NULL if there is no memory. */
static meeting *call_meeting(uint32_t workers)
{
    meeting *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t shared;
    if (m == MAP_FAILED)
        return NULL;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&m->barrier, &shared, workers);
    pthread_barrierattr_destroy(&shared);
    return m;
}

ps_status lone_training_open(const lone_setup *setup, stage *out, ps_error *error)
{
    static int processors[PLACEMENT_PROCESSORS_MAX];
    size_t count = placement_processors(processors);
    bool pinned = placement_pins(PIN_AUTO, count, setup->workers, setup->servers, false);
    ps_status status = PS_OK;
    *out = (stage){0};
    meeting *m = setup->in_step ? call_meeting(setup->workers) : NULL;
    if (setup->in_step && !m)
        return ps_fail(error, PS_ENOMEM, "no memory to share among lone workers");
    for (uint32_t rank = 0; rank < setup->workers && status == PS_OK; rank++) {
        lone_plan plan = {.setup = *setup, .rank = rank, .meeting = m};
        int processor = pinned ? processors[rank % count] : OPTIONS_ANYWHERE;
        status = actor_fork(&out->clients[rank], processor, body, &plan, error);
        out->client_count += status == PS_OK;
    }
    if (status != PS_OK)
        stage_end(out);
    return status;
}
