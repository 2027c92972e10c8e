/* cases_mnist.c - what does a cluster cost? Images/s of `penstock run`, synchronous, beside the same
 * arithmetic without any server (lone_training.h). Images/s of the cluster are what the launcher says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/cases.h"
#include "tests/bench/lone_training.h"

enum { SERVERS = 2, WORKERS = 2, STEPS_MIN = 20, LINE_MAX_BYTES = 512, COMMAND_MAX = 4 * PATH_MAX };

/* Images that take about so long. */
static const double IMAGES_PER_SECOND = 200000;

typedef struct {
    const bench_options *options;
    uint32_t batch;
} cluster;

/* The number after "throughput", digits grouped by commas. */
static double parse_rate(const char *line)
{
    double rate = 0;
    for (const char *c = line + strlen("throughput"); *c; c++)
        if (*c >= '0' && *c <= '9')
            rate = rate * 10 + (*c - '0');
    return rate;
}

static ps_status run_cluster(const cluster *c, const char *folder, unsigned long long steps, double *rate,
                             ps_error *error)
{
    char command[COMMAND_MAX], line[LINE_MAX_BYTES];
    snprintf(command, sizeof command,
             "'%s' run --ps %d --workers %d --run-dir %s/run -- --data-folder '%s' --batch-size %u "
             "--steps %llu --evaluate-every 0 2>%s/errors",
             c->options->launcher_program, SERVERS, WORKERS, folder, c->options->mnist_folder, c->batch,
             steps, folder);
    FILE *output = popen(command, "r");
    if (!output)
        return ps_fail(error, PS_EIO, "cannot start the launcher");
    *rate = 0;
    while (fgets(line, sizeof line, output))
        if (strncmp(line, "throughput", strlen("throughput")) == 0)
            *rate = parse_rate(line);
    if (pclose(output) != 0 || *rate == 0)
        return ps_fail(error, PS_EPEER, "the cluster failed; its logs are in %s/run", folder);
    return PS_OK;
}

static ps_status measure_cluster(const contender *self, double seconds, sample *out, ps_error *error)
{
    const cluster *c = self->subject;
    char folder[] = "/tmp/penstock-bench-XXXXXX", command[64];
    double fitting = seconds * IMAGES_PER_SECOND / (c->batch * WORKERS), rate;
    if (!mkdtemp(folder))
        return ps_fail(error, PS_EIO, "no temporary folder");
    unsigned long long steps = fitting > STEPS_MIN ? (unsigned long long)fitting : STEPS_MIN;
    ps_status status = run_cluster(c, folder, steps, &rate, error);
    if (status != PS_OK)
        return status;
    *out = (sample){.rate = rate / c->batch, .step_s = c->batch * WORKERS / rate};
    snprintf(command, sizeof command, "rm -r %s", folder);
    if (system(command) != 0)
        return ps_fail(error, PS_EIO, "cannot remove %s", folder);
    return PS_OK;
}

static void train(const bench_options *o, results *r, uint32_t batch, double wanted)
{
    char title[RESULTS_NAME_MAX];
    stage lone;
    comparison c;
    ps_error error;
    const cluster subject = {.options = o, .batch = batch};
    const lone_setup setup = {
        .data_folder = o->mnist_folder, .batch = batch, .workers = WORKERS, .servers = SERVERS};
    snprintf(title, sizeof title, "MNIST, %d ps, %d workers, batch %u", SERVERS, WORKERS, batch);
    ps_status status = lone_training_open(&setup, &lone, &error);
    if (status == PS_OK) {
        contender one = {.measure = measure_cluster, .subject = &subject};
        contender other = stage_contender(&lone, 0);
        status = turns_take(o, 1, &one, &other, &c, &error);
    }
    stage_end(&lone);
    if (status != PS_OK) {
        results_fail(r, title, &error);
        return;
    }
    result_row row = row_make(title, 0, "1000/s");
    row.penstock = c.penstock.rate * batch * 1e-3;
    row.floor = c.floor.rate * batch * 1e-3;
    row.ratio = c.ratio.rate;
    row.wanted = wanted;
    results_add(r, &row);
}

void cases_mnist(const bench_options *o, results *r)
{
    if (!o->mnist_folder) {
        printf("left out: no --mnist\n");
        return;
    }
    train(o, r, 50, 0.6);
    train(o, r, 500, 0.92);
}
