/* fuzz_codec.c - any bytes as a payload: refused, or readable; and any floats as a slice.
 *
 * Input: one byte, the codec; one, the topk fraction in 512ths; two, the number of elements (at most 8191);
 * the rest is the payload, and once more the values. */
#include <math.h>
#include <string.h>

#include "common/codec.h"
#include "tests/fuzz/fuzz.h"

enum { COUNT_MAX = 8191 };

static void *copy(const void *data, size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    FUZZ_REQUIRE(memory);
    memcpy(memory, data, bytes);
    return memory;
}

/* Reads all of it; all numbers are finite if that is what codec_is_finite says. */
static void read_back(const codec_config *config, const void *payload, size_t bytes, uint64_t count)
{
    codec_payload p = {config->kind, payload, bytes};
    float *values = malloc(count * sizeof *values + 1);
    FUZZ_REQUIRE(values);
    codec_decode(&p, 0, (size_t)count, values);
    bool finite = true;
    for (uint64_t i = 0; i < count; i++)
        finite = finite && isfinite(values[i]);
    FUZZ_REQUIRE(finite || !codec_is_finite(&p, count));
    codec_add_scaled(&p, 0, (size_t)count, 0.5f, values);
    free(values);
}

static void judge(const codec_config *config, const uint8_t *data, size_t bytes, uint64_t count)
{
    ps_error error = {PS_OK, ""};
    void *payload = copy(data, bytes);
    ps_status status = codec_check(config, payload, bytes, count, &error);
    FUZZ_REQUIRE(status == PS_OK || status == PS_EFORMAT || status == PS_EMISMATCH);
    FUZZ_REQUIRE(status == PS_OK || (error.status == status && error.text[0]));
    if (status == PS_OK)
        read_back(config, payload, bytes, count);
    free(payload);
}

/* What was encoded passes, and is finite if the values are. */
static void encode(const codec_config *config, const uint8_t *data, size_t bytes)
{
    uint64_t count = bytes / sizeof(float) < COUNT_MAX ? bytes / sizeof(float) : COUNT_MAX;
    float *values = copy(data, count * sizeof(float));
    bool finite = true;
    for (uint64_t i = 0; i < count; i++)
        finite = finite && isfinite(values[i]);
    float *residual = codec_keeps_residual(config->kind) ? calloc(count + 1, sizeof *residual) : NULL;
    size_t size = codec_bytes(config, count);
    void *payload = malloc(size ? size : 1);
    FUZZ_REQUIRE(payload);
    codec_encode(config, values, count, residual, payload);
    FUZZ_REQUIRE(codec_check(config, payload, size, count, NULL) == PS_OK);
    FUZZ_REQUIRE(!finite || codec_is_finite(&(codec_payload){config->kind, payload, size}, count));
    read_back(config, payload, size, count);
    free(values);
    free(residual);
    free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 4)
        return 0;
    const codec_config config = {
        .kind = (codec_kind)(CODEC_FP32 + data[0] % CODEC_TOPK),
        .topk_fraction = (data[1] + 1) / 512.0,
    };
    uint64_t count = ((uint64_t)data[2] << 8 | data[3]) & COUNT_MAX;
    judge(&config, data + 4, bytes - 4, count);
    encode(&config, data + 4, bytes - 4);
    return 0;
}
