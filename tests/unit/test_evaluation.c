/* Loss and accuracy over a data set, worker/evaluation: sums over batches, the last one short. */
#include "worker/evaluation.h"

#include <math.h>
#include <string.h>

#include "tests/unit/folder.h"

/* A softmax regression on images of one pixel: the logits are weights * pixel + bias. */
enum { CLASSES = 2 };

typedef struct {
    backend *on;
    mlp *model;
    dataset *data;
} bench;

static void put_idx(const char *path, uint8_t rank, uint32_t rows, const uint8_t *values)
{
    uint8_t bytes[4 + 3 * 4 + 2000] = {
        0, 0, 0x08, rank, (uint8_t)(rows >> 24), (uint8_t)(rows >> 16), (uint8_t)(rows >> 8), (uint8_t)rows};
    size_t used = 8;
    for (uint8_t i = 1; i < rank; i++) {
        bytes[used + 3] = 1; /* a dimension of 1, big-endian */
        used += 4;
    }
    memcpy(bytes + used, values, rows);
    folder_put(path, bytes, used + rows);
}

/* `rows` images; those of class 1 are white, of class 0 black, but each tenth is labelled wrongly. */
static bench make_bench(uint32_t rows)
{
    uint8_t pixels[2000], labels[2000];
    for (uint32_t i = 0; i < rows; i++) {
        pixels[i] = i % 2 ? 255 : 0;
        labels[i] = (uint8_t)(i % 10 == 9 ? 1 - i % 2 : i % 2);
    }
    put_idx("t10k-images-idx3-ubyte", 3, rows, pixels);
    put_idx("t10k-labels-idx1-ubyte", 1, rows, labels);
    bench b;
    ps_error error = {PS_OK, ""};
    if (dataset_open(".", DATASET_TEST, CLASSES, &b.data, &error) != PS_OK)
        fail_msg("%s", error.text);
    const mlp_config config = {.inputs = 1, .classes = CLASSES};
    assert_int_equal(backend_cpu_create(1, &b.on, NULL), PS_OK);
    assert_int_equal(mlp_create(&config, b.on, EVALUATION_BATCH, &b.model, NULL), PS_OK);
    return b;
}

static void free_bench(bench *b)
{
    mlp_destroy(&b->model);
    b->on->ops->destroy(b->on);
    dataset_close(&b->data);
}

static void mean_covers_each_row_once_however_batches_fall(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {10, 490, 500, 510, 1000, 1730};
    /* Kernel (1 x 2), bias (2): logits (-1, 1) * pixel + (1/2, -1/2), so white is 1 and black is 0, each by a
     * margin of 1. */
    const float weights[] = {-1, 1, 0.5f, -0.5f};
    const double right = log1p(exp(-1)), wrong = log1p(exp(1));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bench b = make_bench(sizes[i]);
        evaluation found;
        assert_int_equal(evaluate(b.model, weights, b.data, &found), PS_OK);
        assert_true(found.accuracy == 0.9);
        /* Each row's loss has float32 rounding: a relative 1e-6 is generous. */
        assert_true(fabs(found.loss - (0.9 * right + 0.1 * wrong)) < 1e-6);
        free_bench(&b);
    }
}

static void model_without_room_for_a_batch_fails(void **state)
{
    (void)state;
    bench b = make_bench(20);
    mlp *small;
    const mlp_config config = {.inputs = 1, .classes = CLASSES};
    const float weights[] = {0, 0, 0, 0};
    evaluation found;
    assert_int_equal(mlp_create(&config, b.on, 10, &small, NULL), PS_OK);
    assert_int_equal(evaluate(small, weights, b.data, &found), PS_EINVAL);
    mlp_destroy(&small);
    free_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(mean_covers_each_row_once_however_batches_fall),
        FOLDER_TEST(model_without_room_for_a_batch_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
