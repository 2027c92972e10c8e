/* cost_model.c - see cost_model.h, where every formula is stated and named. */
#include "deploy/plan/cost_model.h"

#include <math.h>
#include <string.h>

#include "common/partition.h"
#include "common/wire.h"

/* Where the exchange adds less than this share of compute, more hardware would not be noticed. */
static const double COMPUTE_BOUND_MARGIN = 0.05;

const char *cost_resource_name(cost_resource resource)
{
    static const char *const names[] = {
#define COST_NAME(name, text) text,
        COST_RESOURCE_LIST(COST_NAME)
#undef COST_NAME
    };
    return resource < COST_RESOURCES ? names[resource] : "?";
}

uint32_t cost_optimizer_slots(optimizer_kind kind)
{
    static const uint32_t slots[] = {
        [OPTIMIZER_SGD] = 0,     [OPTIMIZER_MOMENTUM] = 1, [OPTIMIZER_NESTEROV] = 1, [OPTIMIZER_ADAGRAD] = 1,
        [OPTIMIZER_RMSPROP] = 1, [OPTIMIZER_ADAM] = 2,     [OPTIMIZER_ADAMW] = 2,    [OPTIMIZER_FTRL] = 2,
    };
    return slots[kind];
}

/* What the formulas share. The names are those of the header. */
typedef struct {
    const cost_input *in;
    const cost_constants *constants;
    double W, S, M, D, m;
    double bandwidth, latency;
    double wire_rate, wire_cpu; /* `socket` and both ends' CPU per byte, of the transport in use */
    double touched;             /* t */
    double pair_cpu;            /* p */
    double bound;               /* the exchange takes at least this long */
} work;

bool cost_transport_parse(const char *text, cost_transport *transport)
{
    bool shared = strcmp(text, "shared") == 0;
    *transport = shared ? COST_SHARED : COST_TCP;
    return shared || strcmp(text, "tcp") == 0;
}

double cost_slices(const cost_input *in)
{
    double fair = fmax(in->model_bytes / in->servers, PARTITION_BALANCED_BYTES_MIN);
    return ceil(in->model_bytes / fmin(in->slice_bytes, fair));
}

static work describe(const cost_input *in, const cost_constants *constants)
{
    work w = {.in = in, .constants = constants, .W = in->workers, .S = in->servers, .M = in->model_bytes};
    double slices = cost_slices(in);
    w.m = ceil(slices / w.S);
    w.D = w.m * w.M / slices;
    w.bandwidth = in->cores ? INFINITY : in->bandwidth;
    w.latency = in->cores ? 0 : in->latency_s;
    w.wire_cpu =
        in->transport == COST_SHARED ? constants->shared_cpu_s_per_byte : constants->socket_cpu_s_per_byte;
    w.wire_rate = in->transport == COST_SHARED ? 2 / w.wire_cpu : constants->socket_bytes_per_s;
    w.touched = (3 + 2 * cost_optimizer_slots(in->optimizer)) / 3.0;
    double messages = ceil(w.m / WIRE_SLICES_MAX);
    w.pair_cpu = messages * constants->request_cpu_s + (w.m - messages) * constants->message_cpu_s;
    return w;
}

/* A resource is busy for as long as all of its parts together. Returns the part. */
static double occupy(cost_prediction *out, cost_resource resource, double seconds)
{
    out->busy_s[resource] += seconds;
    return seconds;
}

static double longest_of(double a, double b, double c, double d)
{
    return fmax(fmax(a, b), fmax(c, d));
}

static void predict_stages(work *w, cost_prediction *out)
{
    const cost_input *in = w->in;
    const cost_constants *c = w->constants;
    double up = in->push.ratio, down = in->pull.ratio, rate = w->wire_rate;

    out->worker_out_bytes = w->M * up;
    out->worker_in_bytes = w->M * down;
    out->server_in_bytes = w->W * w->D * up;
    out->server_out_bytes = w->W * w->D * down;

    out->encode_s = occupy(out, COST_TRAINER, w->M * (c->judge_s_per_byte + in->push.encode_s_per_byte));
    out->push_s = longest_of(occupy(out, COST_WORKER_OUT, out->worker_out_bytes / w->bandwidth),
                             occupy(out, COST_SERVER_IN, out->server_in_bytes / w->bandwidth),
                             out->server_in_bytes / rate, out->worker_out_bytes / rate);
    out->message_s = w->W * w->pair_cpu / 2;
    out->update_s = occupy(
        out, COST_UPDATE,
        w->D * w->touched / c->update_bytes_per_s + (w->W - 1) * w->D * c->reduce_s_per_byte +
            w->W * w->D * in->push.decode_s_per_byte + w->D * in->pull.encode_s_per_byte + out->message_s);
    out->pull_s = longest_of(occupy(out, COST_SERVER_OUT, out->server_out_bytes / w->bandwidth),
                             occupy(out, COST_WORKER_IN, out->worker_in_bytes / w->bandwidth),
                             out->server_out_bytes / rate, out->worker_in_bytes / rate);
    out->place_s =
        occupy(out, COST_TRAINER,
               w->M * (1 / c->copy_bytes_per_s + in->pull.decode_s_per_byte) + w->S * w->pair_cpu / 2);
    out->latency_s = occupy(out, COST_LATENCY, 2 * w->latency + c->request_s);

    /* One thread carries both directions; in one direction it goes no faster than `rate`. */
    double io = w->wire_cpu / 2;
    occupy(out, COST_SERVER_IO,
           fmax((out->server_in_bytes + out->server_out_bytes) * io,
                fmax(out->server_in_bytes, out->server_out_bytes) / rate));
    occupy(out, COST_WORKER_IO,
           fmax((out->worker_in_bytes + out->worker_out_bytes) * io,
                fmax(out->worker_in_bytes, out->worker_out_bytes) / rate));
}

/* X of the header. */
static double host_exchange_cpu(const work *w)
{
    const cost_input *in = w->in;
    const cost_constants *c = w->constants;
    double worker = w->M * (c->judge_s_per_byte + in->push.encode_s_per_byte + 1 / c->copy_bytes_per_s +
                            in->pull.decode_s_per_byte);
    double update = w->M * (w->touched / c->update_bytes_per_s + (w->W - 1) * c->reduce_s_per_byte +
                            w->W * in->push.decode_s_per_byte + in->pull.encode_s_per_byte);
    double wire = w->W * w->M * (in->push.ratio + in->pull.ratio) * w->wire_cpu;
    return w->W * worker + update + wire + w->W * w->S * w->pair_cpu;
}

/* E of the header, for the last `part` of the slices. */
static double exchange(const work *w, const cost_prediction *out, double part)
{
    double path;
    if (w->in->pipelined) {
        double sum = out->encode_s + out->push_s + out->update_s + out->pull_s + out->place_s;
        double slowest =
            fmax(longest_of(out->encode_s, out->push_s, out->update_s, out->pull_s), out->place_s);
        path = part * slowest + (sum - slowest) / w->m;
    } else {
        path = part * (out->encode_s + out->push_s) + out->update_s + out->pull_s + out->place_s;
    }
    return fmax(path, part * w->bound);
}

static cost_resource find_bottleneck(const cost_prediction *out)
{
    if (out->exposed_s <= COMPUTE_BOUND_MARGIN * out->compute_s)
        return COST_COMPUTE;
    cost_resource busiest = COST_LATENCY;
    for (cost_resource r = 0; r < COST_RESOURCES; r++)
        if (r != COST_COMPUTE && out->busy_s[r] > out->busy_s[busiest])
            busiest = r;
    return busiest;
}

void cost_predict(const cost_input *input, const cost_constants *constants, cost_prediction *out)
{
    work w = describe(input, constants);
    *out = (cost_prediction){.slices = (uint64_t)w.m, .share_bytes = w.D};
    predict_stages(&w, out);
    out->memory_bytes = w.D * (3 + cost_optimizer_slots(input->optimizer)) + out->server_in_bytes;

    double host_cpu = 0, host_compute = 0;
    if (input->cores) {
        host_cpu = host_exchange_cpu(&w) / input->cores;
        host_compute = w.W * input->compute_s / input->cores;
        occupy(out, COST_CORES, host_cpu);
    }
    out->compute_s = occupy(out, COST_COMPUTE, fmax(input->compute_s, host_compute));
    w.bound = longest_of(out->busy_s[COST_TRAINER], out->busy_s[COST_SERVER_IO], out->busy_s[COST_WORKER_IO],
                         host_cpu);

    double window = input->overlap * COST_BACKWARD_SHARE * out->compute_s;
    double late = out->compute_s + exchange(&w, out, 1 - input->overlap);
    double early = out->compute_s - window + exchange(&w, out, 1);
    out->step_s = fmax(out->latency_s + fmax(late, early), host_compute + host_cpu);
    out->exposed_s = out->step_s - out->compute_s;
    out->efficiency = input->compute_s / out->step_s;
    out->bottleneck = find_bottleneck(out);
}
