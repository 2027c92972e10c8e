/* evaluation.c - see evaluation.h. */
#include "worker/evaluation.h"

ps_status evaluate(mlp *model, const float *weights, const dataset *on, evaluation *result)
{
    uint64_t total = dataset_rows(on);
    backend *b = mlp_backend(model);
    float *features =
        backend_allocate_host(b, (size_t)EVALUATION_BATCH * dataset_features(on) * sizeof *features);
    uint32_t *labels = backend_allocate_host(b, EVALUATION_BATCH * sizeof *labels);
    uint64_t rows[EVALUATION_BATCH];
    double loss_sum = 0;
    uint64_t correct = 0;
    ps_status status = features && labels ? PS_OK : PS_ENOMEM;
    for (uint64_t first = 0; first < total && status == PS_OK; first += EVALUATION_BATCH) {
        uint32_t count = total - first < EVALUATION_BATCH ? (uint32_t)(total - first) : EVALUATION_BATCH;
        for (uint32_t i = 0; i < count; i++)
            rows[i] = first + i;
        dataset_gather(on, rows, count, features, labels);
        double batch_loss = 0;
        uint32_t batch_correct = 0;
        status = mlp_evaluate(model, weights, features, labels, count, &batch_loss, &batch_correct);
        loss_sum += batch_loss;
        correct += batch_correct;
    }
    backend_release_host(b, features);
    backend_release_host(b, labels);
    result->loss = loss_sum / (double)total;
    result->accuracy = (double)correct / (double)total;
    return status;
}
