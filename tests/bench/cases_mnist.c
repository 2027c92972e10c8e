/* cases_mnist.c - what does a cluster cost? Images/s of `penstock run`, synchronous, beside the same
 * arithmetic without any server (lone_training.h), at everyone's own pace: the floor. A second row tells what
 * of that is left if the processes without servers keep in step. Images/s of the cluster are what the
 * launcher says. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/cases.h"
#include "tests/bench/lone_training.h"

/* Training is measured for so many times the usual length: its first steps touch all memory for the first
 * time. */
enum { LENGTH_FACTOR = 8 };
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
             "PENSTOCK_HOME=%s/registry '%s' run --ps %d --workers %d --run-dir %s/run -- --data-folder '%s' "
             "--batch-size %u --steps %llu --evaluate-every 0 2>%s/errors",
             folder, c->options->launcher_program, SERVERS, WORKERS, folder, c->options->mnist_folder,
             c->batch, steps, folder);
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

/* Takes turns with the floor and adds a row. */
static void compare(const bench_options *o, results *r, const char *title, uint32_t batch, contender *one,
                    stage *floor, double wanted)
{
    comparison c;
    ps_error error;
    contender other = stage_contender(floor, 0);
    if (turns_take(o, 1, one, &other, &c, &error) != PS_OK) {
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

static void train(const bench_options *o, results *r, uint32_t batch, double wanted)
{
    char title[RESULTS_NAME_MAX];
    stage alone = {0}, in_step = {0};
    ps_error error;
    const cluster subject = {.options = o, .batch = batch};
    lone_setup setup = {
        .data_folder = o->mnist_folder, .batch = batch, .workers = WORKERS, .servers = SERVERS};
    snprintf(title, sizeof title, "MNIST, %d ps, %d workers, batch %u", SERVERS, WORKERS, batch);
    ps_status status = lone_training_open(&setup, &alone, &error);
    setup.in_step = true;
    if (status == PS_OK)
        status = lone_training_open(&setup, &in_step, &error);
    if (status == PS_OK) {
        contender trained = {.measure = measure_cluster, .subject = &subject};
        compare(o, r, title, batch, &trained, &alone, wanted);
        contender kept = stage_contender(&in_step, 0);
        snprintf(title, sizeof title, "MNIST, no server, in step, batch %u", batch);
        compare(o, r, title, batch, &kept, &alone, NAN);
    } else {
        results_fail(r, title, &error);
    }
    stage_end(&alone);
    stage_end(&in_step);
}

void cases_mnist(const bench_options *o, results *r)
{
    if (!o->mnist_folder) {
        printf("left out: no --mnist\n");
        return;
    }
    bench_options longer = *o;
    longer.seconds *= LENGTH_FACTOR;
    train(&longer, r, 50, 0.6);
    train(&longer, r, 500, 0.92);
}
