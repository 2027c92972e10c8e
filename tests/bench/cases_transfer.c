/* cases_transfer.c - pushes and pulls of one worker and one ps: large over TCP, and small requests.
 *
 * Floors: raw_zmq.h, with the same frames, the same number of them under way, on the same processors. */
#include <stdio.h>

#include "tests/bench/cases.h"
#include "tests/bench/driver.h"
#include "tests/bench/raw_zmq.h"

enum { REQUEST_BYTES = 256 };

typedef struct {
    uint64_t bytes;
    uint32_t slice_bytes;
    double wanted, cpu_wanted;
    bool full; /* only with --full */
} transfer_size;

/* `bytes` of a row of small slices are those of a slice; a request is for 1 MiB of them. */
static const transfer_size sizes[] = {
    {MIB, 4 * KIB, 0.8, NAN, false},  {MIB, 64 * KIB, 0.8, NAN, false}, {MIB, MIB, 0.85, 1.2, false},
    {4 * MIB, MIB, 0.85, 1.2, false}, {16 * MIB, MIB, NAN, NAN, true},  {64 * MIB, MIB, NAN, NAN, true},
};

/* Opens both, takes turns, ends both. */
static ps_status compare(const bench_options *o, const driver_setup *setup, const raw_setup *raw,
                         comparison *c, double *resident_bytes, ps_error *error)
{
    stage penstock = {0}, floor = {0};
    ps_status status = driver_open(o, setup, &penstock, error);
    if (status == PS_OK)
        status = raw_zmq_open(o, raw, &floor, error);
    if (status == PS_OK) {
        contender one = stage_contender(&penstock, 0), other = stage_contender(&floor, 0);
        status = turns_take(o, 1, &one, &other, c, error);
        *resident_bytes = (double)driver_resident_bytes(&penstock);
    }
    stage_end(&penstock);
    stage_end(&floor);
    return status;
}

/* ---- large ---- */

/* What a further slice costs: the processor time of a request for 1 MiB in many and in one. */
static void note_constants(results *r, driver_operation operation, const transfer_size *size,
                           const comparison *c)
{
    static double whole_cpu_s = NAN, cut_cpu_s = NAN;
    if (operation != DRIVER_PUSH || size->bytes != MIB)
        return;
    if (size->slice_bytes == 4 * KIB)
        cut_cpu_s = c->penstock.cpu_s;
    if (size->slice_bytes == MIB)
        whole_cpu_s = c->penstock.cpu_s;
    double extra = (cut_cpu_s - whole_cpu_s) / (MIB / (4 * KIB) - 1);
    if (!isnan(extra))
        r->constants.message_cpu_s = extra > 0 ? extra : 0;
}

static void transfer(const bench_options *o, results *r, const char *name, driver_operation operation,
                     raw_kind floor, const transfer_size *size)
{
    driver_setup setup = driver_pair(operation, size->bytes, size->slice_bytes);
    raw_setup raw = {
        .kind = floor,
        .frames = (uint32_t)(size->bytes / size->slice_bytes),
        .frame_bytes = size->slice_bytes,
    };
    char title[RESULTS_NAME_MAX];
    uint64_t label = size->slice_bytes < MIB ? size->slice_bytes : size->bytes;
    snprintf(title, sizeof title, "%s%s", name, size->slice_bytes < MIB ? ", slices" : "");
    result_row row = row_make(title, label, "GB/s");
    comparison c;
    ps_error error;
    if (compare(o, &setup, &raw, &c, &row.resident_bytes, &error) != PS_OK) {
        results_fail(r, title, &error);
        return;
    }
    double directions = operation == DRIVER_PUSH_PULL ? 2 : 1;
    row_take_rates(&row, &c, directions * 1e-9 * (double)size->bytes, true, true);
    row.wanted = size->wanted;
    row.cpu_wanted = size->cpu_wanted;
    row.stored_bytes = (double)driver_stored_bytes(&setup);
    note_constants(r, operation, size, &c);
    results_add(r, &row);
}

static void transfer_all(const bench_options *o, results *r, const char *name, driver_operation operation,
                         raw_kind floor)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (!sizes[i].full || o->full)
            transfer(o, r, name, operation, floor, &sizes[i]);
}

void cases_push(const bench_options *o, results *r)
{
    transfer_all(o, r, "push", DRIVER_PUSH, RAW_PUSH);
}

void cases_pull(const bench_options *o, results *r)
{
    transfer_all(o, r, "pull", DRIVER_PULL, RAW_PULL);
}

void cases_push_pull(const bench_options *o, results *r)
{
    transfer_all(o, r, "push_pull", DRIVER_PUSH_PULL, RAW_PUSH_PULL);
}

/* ---- small ---- */

static ps_status compare_requests(const bench_options *o, uint32_t outstanding, bool one_processor,
                                  comparison *c, result_row *row, ps_error *error)
{
    driver_setup setup = driver_pair(DRIVER_PUSH_PULL, REQUEST_BYTES, JOB_SLICE_BYTES_DEFAULT);
    setup.outstanding = outstanding;
    setup.one_processor = one_processor;
    raw_setup raw = {
        .kind = RAW_REQUEST,
        .frames = 1,
        .frame_bytes = REQUEST_BYTES,
        .outstanding = outstanding,
        .one_processor = one_processor,
    };
    row->stored_bytes = (double)driver_stored_bytes(&setup);
    return compare(o, &setup, &raw, c, &row->resident_bytes, error);
}

static void round_trip(const bench_options *o, results *r, const char *where, bool one_processor)
{
    static const char *const names[LATENCIES] = {"p50", "p99", "p99.9"};
    char title[32];
    comparison c;
    ps_error error;
    result_row row = row_make("", REQUEST_BYTES, "us");
    snprintf(title, sizeof title, "round trip, %s", where);
    if (compare_requests(o, 1, one_processor, &c, &row, &error) != PS_OK) {
        results_fail(r, title, &error);
        return;
    }
    for (int i = 0; i < LATENCIES; i++) {
        snprintf(row.name, sizeof row.name, "%s, %s", title, names[i]);
        row.penstock = c.penstock.latency_s[i] * 1e6;
        row.floor = c.floor.latency_s[i] * 1e6;
        row.ratio = c.ratio.latency_s[i];
        row.at_most = true;
        row.wanted = one_processor && i == LATENCY_P50 ? 1.25 : NAN;
        if (i == LATENCY_P50) {
            row.cpu_penstock = c.penstock.cpu_s;
            row.cpu_floor = c.floor.cpu_s;
            row.cpu_ratio = c.ratio.cpu_s;
        }
        results_add(r, &row);
        row.cpu_penstock = row.cpu_floor = row.cpu_ratio = NAN;
    }
    if (!one_processor)
        r->constants.request_s = c.penstock.latency_s[LATENCY_P50];
}

static void requests(const bench_options *o, results *r, uint32_t outstanding)
{
    char title[RESULTS_NAME_MAX];
    comparison c;
    ps_error error;
    snprintf(title, sizeof title, "requests, %u outstanding", outstanding);
    result_row row = row_make(title, REQUEST_BYTES, "1000/s");
    if (compare_requests(o, outstanding, false, &c, &row, &error) != PS_OK) {
        results_fail(r, title, &error);
        return;
    }
    row.penstock = c.penstock.rate * 1e-3;
    row.floor = c.floor.rate * 1e-3;
    row.ratio = c.ratio.rate;
    row.wanted = outstanding > 1 ? 0.7 : NAN;
    row.cpu_penstock = c.penstock.cpu_s;
    row.cpu_floor = c.floor.cpu_s;
    row.cpu_ratio = c.ratio.cpu_s;
    results_add(r, &row);
    if (outstanding > 1) /* a step wakes its threads once, not for every message: request_s has that */
        r->constants.request_cpu_s = c.penstock.cpu_s;
}

void cases_request(const bench_options *o, results *r)
{
    round_trip(o, r, "one processor", true);
    round_trip(o, r, "two", false);
    requests(o, r, 1);
    requests(o, r, DRIVER_OUTSTANDING_MAX);
}
