/* cases_shared.c - a worker and a ps on one host, tensors in memory that both see.
 *
 * Floor: one process that does the arithmetic, w -= rate * g, and one memcpy of the new weights to where the
 * worker wants them: with as many sets of gradients and weights as the worker has, so that both find as much
 * in the caches. It runs where the client does. Bytes are counted in both directions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fpmode.h"
#include "tests/bench/cases.h"
#include "tests/bench/driver.h"
#include "tests/bench/raw_memory.h"
#include "tests/bench/raw_zmq.h"

/* ---- the floor ---- */

typedef struct {
    size_t bytes;
    float *gradients[RAW_IN_FLIGHT], *copies[RAW_IN_FLIGHT], *weights;
} floor_arrays;

static float *fill(size_t bytes)
{
    float *values = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!values)
        _exit(PS_EXIT_FAILURE);
    for (size_t i = 0; i < bytes / sizeof *values; i++)
        values[i] = 1e-3f * (float)(i % 100 + 1);
    return values;
}

static void floor_body(int channel, void *argument)
{
    floor_arrays a = {.bytes = *(const size_t *)argument};
    actor_order order;
    fpmode_flush_denormals();
    a.weights = fill(a.bytes);
    for (int i = 0; i < RAW_IN_FLIGHT; i++) {
        a.gradients[i] = fill(a.bytes);
        a.copies[i] = fill(a.bytes);
    }
    while (actor_take_order(channel, &order)) {
        pace p = pace_start(&order);
        while (pace_begins(&p)) {
            uint32_t set = (uint32_t)(p.operations % RAW_IN_FLIGHT);
            raw_axpy(a.weights, a.gradients[set], 0.01f, a.bytes / sizeof(float));
            memcpy(a.copies[set], a.weights, a.bytes);
        }
        actor_answer answer = {
            .error.status = PS_OK,
            .operations = p.operations,
            .seconds = clock_monotonic_seconds() - p.start,
        };
        actor_answer_order(channel, &answer);
    }
}

/* ---- the cases ---- */

static void exchange(const bench_options *o, results *r, size_t bytes, bool judged)
{
    driver_setup setup = driver_pair(DRIVER_PUSH_PULL, bytes, JOB_SLICE_BYTES_DEFAULT);
    setup.share_memory = true;
    result_row row = row_make("push_pull, shared memory", bytes, "GB/s");
    stage penstock = {0}, floor = {0};
    comparison c;
    ps_error error;
    ps_status status = driver_open(o, &setup, &penstock, &error);
    if (status == PS_OK)
        status = actor_fork(&floor.clients[0], o->client_processor, floor_body, &bytes, &error);
    if (status == PS_OK) {
        floor.client_count = 1;
        contender one = stage_contender(&penstock, 0), other = stage_contender(&floor, 0);
        status = turns_take(o, 1, &one, &other, &c, &error);
        row.resident_bytes = (double)driver_resident_bytes(&penstock);
    }
    stage_end(&penstock);
    stage_end(&floor);
    if (status != PS_OK) {
        results_fail(r, row.name, &error);
        return;
    }
    row_take_rates(&row, &c, 2e-9 * (double)bytes, true, true);
    row.wanted = judged ? 0.7 : NAN;
    row.stored_bytes = (double)driver_stored_bytes(&setup);
    if (bytes == 4 * MIB)
        r->constants.shared_cpu_s_per_byte =
            fmax(c.penstock.cpu_s - c.floor.cpu_s, 1e-9) / (2 * (double)bytes);
    results_add(r, &row);
}

void cases_shared(const bench_options *o, results *r)
{
    exchange(o, r, MIB, true);
    exchange(o, r, 4 * MIB, true);
    if (!o->full)
        return;
    exchange(o, r, 16 * MIB, false);
    exchange(o, r, 64 * MIB, false);
}
