/* Any bytes as an inference request: what is accepted has its rows, finite, and gets an answer that is JSON.
 */
#include <math.h>
#include <string.h>

#include "common/json.h"
#include "tests/fuzz/fuzz.h"
#include "worker/v2_answer.h"
#include "worker/v2_request.h"

enum { INPUTS = 3, CLASSES = 4, ROWS_MAX = 5, ANSWER_MAX = 1 << 20 };

static const v2_model model = {.name = "m", .inputs = INPUTS, .classes = CLASSES, .rows_max = ROWS_MAX};

static void answer(const v2_request *q)
{
    float logits[ROWS_MAX * CLASSES];
    for (uint32_t r = 0; r < q->rows; r++)
        for (uint32_t c = 0; c < CLASSES; c++) /* large enough to be infinite at times */
            logits[r * CLASSES + c] = q->features[r * INPUTS + c % INPUTS] * (float)(c + 1);
    char *text;
    size_t bytes;
    ps_error error;
    const ps_status status = v2_answer_inference(&model, q, logits, &text, &bytes, &error);
    if (status != PS_OK) {
        FUZZ_REQUIRE(status == PS_ENONFINITE && !text);
        return;
    }
    json *root;
    const json_options options = {.source = "answer", .max_bytes = q->id_bytes + ANSWER_MAX};
    FUZZ_REQUIRE(json_parse(text, bytes, &options, &root, NULL, &error) == PS_OK);
    FUZZ_REQUIRE(json_count(json_find(root, "outputs")) == q->wanted_count);
    json_free(&root);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    v2_request q;
    ps_error error = {PS_OK, ""};
    const ps_status status = v2_request_parse(&model, (const char *)data, bytes, &q, &error);
    if (status != PS_OK) {
        FUZZ_REQUIRE(error.status == status && error.text[0] && !q.features);
        return 0;
    }
    FUZZ_REQUIRE(q.rows > 0 && q.rows <= ROWS_MAX && q.wanted_count > 0 && q.wanted_count <= V2_OUTPUTS);
    for (uint32_t i = 0; i < q.rows * INPUTS; i++)
        FUZZ_REQUIRE(isfinite(q.features[i]));
    answer(&q);
    v2_request_fini(&q);
    return 0;
}
