/* Any bytes as PGM and as PNG: what is accepted has all its pixels, from 0 to 1. */
#include "tests/fuzz/fuzz.h"
#include "worker/image_decode.h"

enum { PIXELS = 6 };

static void check(ps_status (*decode)(const void *, size_t, uint32_t, float *, ps_error *),
                  const uint8_t *data, size_t bytes)
{
    float features[PIXELS] = {-1, -1, -1, -1, -1, -1};
    ps_error error;
    if (decode(data, bytes, PIXELS, features, &error) != PS_OK)
        return;
    for (int i = 0; i < PIXELS; i++)
        FUZZ_REQUIRE(features[i] >= 0 && features[i] <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    check(image_decode_pgm, data, bytes);
    check(image_decode_png, data, bytes);
    return 0;
}
