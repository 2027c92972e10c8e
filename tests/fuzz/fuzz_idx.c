/* Any bytes as an IDX file, plain and gzipped: what is accepted lies within the bytes. */
#include "tests/fuzz/fuzz.h"
#include "worker/idx.h"

static void check_view(const uint8_t *bytes, size_t size)
{
    idx_view view;
    ps_error error;
    if (idx_parse(bytes, size, &view, &error) != PS_OK)
        return;
    FUZZ_REQUIRE(view.rank >= 1 && view.rank <= IDX_RANK_MAX);
    FUZZ_REQUIRE(view.shape[0] > 0 && view.row_bytes > 0);
    FUZZ_REQUIRE(view.rows > bytes);
    FUZZ_REQUIRE(view.rows + view.shape[0] * view.row_bytes == bytes + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    check_view(data, bytes);
    uint8_t *inflated = NULL;
    size_t size = 0;
    ps_error error;
    if (idx_inflate(data, bytes, &inflated, &size, &error) == PS_OK) {
        idx_view view;
        FUZZ_REQUIRE(idx_parse(inflated, size, &view, &error) == PS_OK);
        check_view(inflated, size);
    }
    free(inflated);
    return 0;
}
