/* plan_search.c - see plan_search.h. */
#include "deploy/plan/plan_search.h"

#include <math.h>
#include <string.h>

#include "common/partition.h"

static const double PLAN_SLICES[] = {64 << 10, 256 << 10, JOB_SLICE_BYTES_DEFAULT, 4 << 20,
                                     JOB_SLICE_BYTES_MAX};
static const plan_codec CODEC_STEPS[] = {PLAN_FP32, PLAN_BF16, PLAN_INT8};

enum {
    SLICE_SIZES = sizeof PLAN_SLICES / sizeof PLAN_SLICES[0],
    CODEC_STEP_COUNT = sizeof CODEC_STEPS / sizeof CODEC_STEPS[0],
};

static const struct {
    const char *name;
    double ratio;
} codecs[] = {
#define PLAN_CODEC_ROW(kind, name, ratio) {name, ratio},
    PLAN_CODEC_LIST(PLAN_CODEC_ROW)
#undef PLAN_CODEC_ROW
};

const char *plan_codec_name(plan_codec codec)
{
    return codec < PLAN_CODECS ? codecs[codec].name : "?";
}

ps_status plan_codec_parse(const char *option, const char *text, plan_codec *codec, ps_error *error)
{
    for (plan_codec c = 0; c < PLAN_CODECS; c++)
        if (strcmp(text, codecs[c].name) == 0) {
            *codec = c;
            return PS_OK;
        }
    return ps_fail(error, PS_EINVAL, "--%s: '%s' is none of fp32, bf16, fp16, int8", option, text);
}

cost_codec plan_codec_cost(plan_codec codec, const cost_constants *constants)
{
    if (codec == PLAN_FP32)
        return (cost_codec){.ratio = codecs[codec].ratio};
    return (cost_codec){
        .ratio = codecs[codec].ratio,
        .encode_s_per_byte = 1 / constants->copy_bytes_per_s,
        .decode_s_per_byte = constants->reduce_s_per_byte,
    };
}

/* False if these slices would be too many. */
static bool try_slices(const plan_request *request, const cost_constants *constants, uint32_t servers,
                       plan_codec codec, double slice_bytes, plan_row *row)
{
    cost_input in = request->job;
    in.servers = servers;
    in.slice_bytes = slice_bytes;
    in.push = plan_codec_cost(codec, constants);
    if (cost_slices(&in) > PARTITION_SLICES_MAX)
        return false;
    *row = (plan_row){.servers = servers, .codec = codec, .slice_bytes = slice_bytes};
    cost_predict(&in, constants, &row->cost);
    return true;
}

/* The best slices for this number of ps. False if even the largest are too many. */
static bool try_servers(const plan_request *request, const cost_constants *constants, uint32_t servers,
                        plan_codec codec, plan_row *row)
{
    if (request->slice_bytes > 0)
        return try_slices(request, constants, servers, codec, request->slice_bytes, row);
    plan_row other;
    bool possible = try_slices(request, constants, servers, codec, JOB_SLICE_BYTES_DEFAULT, row);
    double enough = possible ? row->cost.step_s * (1 - PLAN_NEAR) : INFINITY;
    for (size_t i = 0; i < SLICE_SIZES; i++) {
        if (!try_slices(request, constants, servers, codec, PLAN_SLICES[i], &other))
            continue;
        if (!possible || (other.cost.step_s < enough && other.cost.step_s < row->cost.step_s))
            *row = other;
        possible = true;
    }
    return possible;
}

/* The fastest of all numbers of ps with this codec. */
static bool find_fastest(const plan_request *request, const cost_constants *constants, plan_codec codec,
                         plan_row *fastest)
{
    plan_row row;
    for (uint32_t servers = request->servers_least; servers <= request->servers_most; servers++) {
        if (!try_servers(request, constants, servers, codec, &row))
            return false;
        if (servers == request->servers_least || row.cost.step_s < fastest->cost.step_s)
            *fastest = row;
    }
    return true;
}

/* 1, 2, 3, 4, 6, 8, 12, 16, 24 ...: each a half or a third more. */
static uint32_t next_step(uint32_t servers)
{
    bool power = (servers & (servers - 1)) == 0;
    return servers < 2 ? servers + 1 : power ? servers + servers / 2 : servers + servers / 3;
}

/* Numbers of ps on a scale of halves, both ends and the recommended one. */
static void fill_rows(const plan_request *request, const cost_constants *constants, plan_result *result)
{
    const plan_row *recommended = &result->recommended;
    uint32_t scale = 1, servers = request->servers_least;
    while (result->row_count < PLAN_ROWS_MAX) {
        try_servers(request, constants, servers, recommended->codec, &result->rows[result->row_count++]);
        if (servers >= request->servers_most)
            break;
        while (scale <= servers)
            scale = next_step(scale);
        uint32_t next = scale < request->servers_most ? scale : request->servers_most;
        if (servers < recommended->servers && recommended->servers < next)
            next = recommended->servers;
        servers = next;
    }
}

ps_status plan_search(const plan_request *request, const cost_constants *constants, plan_result *result,
                      ps_error *error)
{
    *result = (plan_result){0};
    size_t steps = request->search_codec ? CODEC_STEP_COUNT : 1;
    for (size_t i = 0; i < steps; i++) {
        plan_row *fastest = &result->codecs[result->codec_count++];
        plan_codec codec = request->search_codec ? CODEC_STEPS[i] : request->push_codec;
        if (!find_fastest(request, constants, codec, fastest))
            return ps_fail(error, PS_ELIMIT,
                           "the model would be cut into more than %u slices: larger ones are needed",
                           PARTITION_SLICES_MAX);
    }
    result->fastest = result->codecs[0];
    for (size_t i = 1; i < steps; i++) {
        if (result->codecs[i].cost.step_s >= result->fastest.cost.step_s * (1 - PLAN_CODEC_GAIN))
            break;
        result->fastest = result->codecs[i];
    }
    double enough = result->fastest.cost.step_s * (1 + PLAN_NEAR);
    result->recommended = result->fastest;
    for (uint32_t servers = request->servers_least; servers < result->fastest.servers; servers++) {
        plan_row row;
        try_servers(request, constants, servers, result->fastest.codec, &row);
        if (row.cost.step_s <= enough) {
            result->recommended = row;
            break;
        }
    }
    fill_rows(request, constants, result);
    return PS_OK;
}
