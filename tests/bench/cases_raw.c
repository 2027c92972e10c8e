/* cases_raw.c - what this machine can do at best, without any of Penstock: memory, TCP, ZeroMQ. */
#include "tests/bench/cases.h"
#include "tests/bench/loops.h"
#include "tests/bench/raw_tcp.h"
#include "tests/bench/raw_zmq.h"

enum { REQUEST_BYTES = 256, REQUESTS_MANY = 64, MODEL_FRAMES = 16 };

/* ---- memory ---- */

static void loop(const bench_options *o, results *r, const stage *s, const char *name, uint32_t variant,
                 uint64_t count)
{
    comparison c;
    ps_error error;
    contender floor = stage_contender(s, variant);
    result_row row = row_make(name, count * sizeof(float), "GB/s");
    if (turns_take(o, 0.3, NULL, &floor, &c, &error) != PS_OK) {
        results_fail(r, name, &error);
        return;
    }
    row_take_rates(&row, &c, 1e-9 * loop_bytes(variant, count), false, true);
    if (variant == LOOP_COPY && count == LOOP_MEMORY_COUNT)
        r->constants.copy_bytes_per_s = row.floor * 1e9 / 2; /* each byte is read and written */
    results_add(r, &row);
}

static void memory(const bench_options *o, results *r, uint64_t count, const char *copy, const char *axpy,
                   const char *triad)
{
    stage s;
    ps_error error;
    if (loops_open(o, count, &s, &error) != PS_OK) {
        results_fail(r, copy, &error);
        return;
    }
    loop(o, r, &s, copy, LOOP_COPY, count);
    loop(o, r, &s, axpy, LOOP_AXPY, count);
    loop(o, r, &s, triad, LOOP_TRIAD, count);
    stage_end(&s);
}

/* ---- bulk and small requests ---- */

typedef enum { GOODPUT, ROUND_TRIP, REQUESTS } figure;

/* Measures an opened stage, or notes that it could not be opened. Ends it. */
static void measure(const bench_options *o, results *r, const char *name, uint64_t bytes, figure what,
                    stage *s, ps_status status, ps_error *error, comparison *c)
{
    static const char *const units[] = {[GOODPUT] = "GB/s", [ROUND_TRIP] = "us", [REQUESTS] = "1000/s"};
    result_row row = row_make(name, bytes, units[what]);
    contender floor = stage_contender(s, 0);
    if (status == PS_OK)
        status = turns_take(o, 1, NULL, &floor, c, error);
    stage_end(s);
    if (status != PS_OK) {
        results_fail(r, name, error);
        return;
    }
    row.cpu_floor = c->floor.cpu_s;
    if (what == GOODPUT)
        row_take_rates(&row, c, 1e-9 * (double)bytes, false, true);
    else if (what == ROUND_TRIP)
        row.floor = c->floor.latency_s[LATENCY_P50] * 1e6;
    else
        row.floor = c->floor.rate * 1e-3;
    results_add(r, &row);
}

static void tcp(const bench_options *o, results *r, const char *name, size_t bytes, bool ping,
                bool one_processor)
{
    const raw_tcp_setup setup = {.ping = ping, .one_processor = one_processor, .bytes = bytes};
    stage s;
    ps_error error;
    comparison c;
    ps_status status = raw_tcp_open(o, &setup, &s, &error);
    measure(o, r, name, bytes, ping ? ROUND_TRIP : GOODPUT, &s, status, &error, &c);
}

/* Messages of `frames` frames of 1 MiB, each from memory of its own. */
static void zmq_bulk(const bench_options *o, results *r, const char *name, bool ipc, uint32_t frames,
                     comparison *c)
{
    const raw_setup setup = {.kind = RAW_SEND, .ipc = ipc, .frames = frames, .frame_bytes = MIB};
    stage s;
    ps_error error;
    ps_status status = raw_zmq_open(o, &setup, &s, &error);
    *c = (comparison){.floor.rate = NAN, .floor.cpu_s = NAN};
    measure(o, r, name, frames * (uint64_t)MIB, GOODPUT, &s, status, &error, c);
}

/* A message of a few MB stays in the caches from one end to the other; a model does not. */
static void zmq_model(const bench_options *o, results *r)
{
    comparison c;
    zmq_bulk(o, r, "ZeroMQ one way, tcp", false, MODEL_FRAMES, &c);
    r->constants.socket_bytes_per_s = c.floor.rate * MODEL_FRAMES * MIB;
    r->constants.socket_cpu_s_per_byte = c.floor.cpu_s / (MODEL_FRAMES * MIB);
}

static void zmq_request(const bench_options *o, results *r, const char *name, figure what,
                        uint32_t outstanding, bool one_processor)
{
    const raw_setup setup = {
        .kind = RAW_REQUEST,
        .frames = 1,
        .frame_bytes = REQUEST_BYTES,
        .outstanding = outstanding,
        .one_processor = one_processor,
    };
    stage s;
    ps_error error;
    comparison c;
    ps_status status = raw_zmq_open(o, &setup, &s, &error);
    measure(o, r, name, REQUEST_BYTES, what, &s, status, &error, &c);
}

void cases_raw(const bench_options *o, results *r)
{
    comparison c;
    memory(o, r, LOOP_MEMORY_COUNT, "memcpy, memory", "w -= r g, memory", "triad, memory");
    memory(o, r, LOOP_CACHED_COUNT, "memcpy, L2", "w -= r g, L2", "triad, L2");
    tcp(o, r, "TCP one way", MIB, false, false);
    tcp(o, r, "TCP round trip, one processor", REQUEST_BYTES, true, true);
    tcp(o, r, "TCP round trip, two", REQUEST_BYTES, true, false);
    zmq_bulk(o, r, "ZeroMQ one way, tcp", false, 1, &c);
    zmq_model(o, r);
    zmq_bulk(o, r, "ZeroMQ one way, ipc", true, 1, &c);
    zmq_request(o, r, "ZeroMQ round trip, one processor", ROUND_TRIP, 1, true);
    zmq_request(o, r, "ZeroMQ round trip, two", ROUND_TRIP, 1, false);
    zmq_request(o, r, "ZeroMQ requests, 1 outstanding", REQUESTS, 1, false);
    zmq_request(o, r, "ZeroMQ requests, 64 outstanding", REQUESTS, REQUESTS_MANY, false);
}
