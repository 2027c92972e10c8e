/* bench_figures.c - what counting costs: a worker's step, and a page of /status, alone and without any
 * training.
 *
 * Usage: bench_figures
 *
 * Best of many turns, so that other work on the machine is left out as far as it can be. What it costs a
 * training as a whole says tests/bench/observation. */
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "worker/performance.h"

enum { TURNS = 200, STEPS = 1000, LAYERS = 3 };

/* As worker/trainer_step.c counts a step of three layers. */
static void count_step(performance *p, const ps_client *client, uint64_t number)
{
    const performance_step step = {.begun_ns = performance_begin(p),
                                   .pushed = number,
                                   .over = number - 1,
                                   .examples_total = 150 * number,
                                   .rows = 50,
                                   .correct = 40,
                                   .loss_sum = 12};
    for (int layer = 0; layer < LAYERS; layer++)
        performance_add(p, layer == 0 ? PHASE_WAIT : PHASE_PULL, performance_begin(p));
    for (int layer = 0; layer < LAYERS; layer++)
        performance_add(p, PHASE_PUSH, performance_begin(p));
    performance_end_step(p, &step, client);
}

static double best_step_ns(performance *p, const ps_client *client)
{
    double best = 1e18;
    uint64_t number = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        const uint64_t begun_ns = clock_monotonic_ns();
        for (int i = 0; i < STEPS; i++)
            count_step(p, client, ++number);
        const double ns = (double)(clock_monotonic_ns() - begun_ns) / STEPS;
        best = ns < best ? ns : best;
    }
    return best;
}

static double best_page_us(performance *p)
{
    double best = 1e18;
    for (int turn = 0; turn < TURNS; turn++) {
        char *text = NULL;
        size_t bytes = 0;
        const uint64_t begun_ns = clock_monotonic_ns();
        FILE *out = open_memstream(&text, &bytes);
        if (!out)
            exit(EXIT_FAILURE);
        performance_print(p, out);
        fclose(out);
        const double us = (double)(clock_monotonic_ns() - begun_ns) / 1000;
        best = us < best ? us : best;
        free(text);
    }
    return best;
}

int main(void)
{
    const cluster_spec alone = {0};
    ps_client_options options;
    ps_client *client = NULL;
    ps_client_options_init(&options);
    performance *p = performance_create(&alone, true);
    if (!p || ps_connect(&alone, &options, &client, NULL) != PS_OK) {
        fputs("bench_figures: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    printf("a worker's step: %.0f ns to count it, %.0f ns where nobody looks\n", best_step_ns(p, client),
           best_step_ns(NULL, client));
    printf("a worker's /status: %.0f us\n", best_page_us(p));
    ps_close(&client);
    ps_client_options_fini(&options);
    performance_destroy(&p);
    return EXIT_SUCCESS;
}
