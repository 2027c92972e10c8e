/* mlp_problem.h - small models with random weights and a batch of random rows. */
#ifndef PENSTOCK_TESTS_MLP_PROBLEM_H
#define PENSTOCK_TESTS_MLP_PROBLEM_H

#include "tests/unit/numbers.h"
#include "tests/unit/unit.h"
#include "worker/mlp.h"

enum { WIDTH_MAX = 12, ROWS_MAX = 9, HIDDEN_MAX = 3, PARAMETERS_MAX = (HIDDEN_MAX + 1) * WIDTH_MAX * 13 };

typedef struct {
    mlp_config config;
    uint64_t parameters;
    uint32_t rows;
    float weights[PARAMETERS_MAX];
    float features[ROWS_MAX * WIDTH_MAX];
    uint32_t labels[ROWS_MAX];
} problem;

static inline void fill_problem(problem *p, numbers *n, activation_kind kind, uint32_t hidden_count)
{
    *p = (problem){.config = {.inputs = numbers_between(n, 1, WIDTH_MAX),
                              .hidden_count = hidden_count,
                              .classes = numbers_between(n, 2, WIDTH_MAX),
                              .activation = kind,
                              .kernel_init = {.kind = INITIALIZER_HE_NORMAL}},
                   .rows = numbers_between(n, 1, ROWS_MAX)};
    for (uint32_t i = 0; i < hidden_count; i++)
        p->config.hidden[i] = numbers_between(n, 1, WIDTH_MAX);
    tensor_table table = {0};
    assert_int_equal(mlp_declare(&p->config, &table, NULL), PS_OK);
    p->parameters = tensor_table_elements(&table);
    assert_true(p->parameters <= PARAMETERS_MAX);
    tensor_table_fini(&table);
    numbers_fill(n, 0.7f, p->weights, p->parameters);
    numbers_fill(n, 1.0f, p->features, p->rows * p->config.inputs);
    for (uint32_t r = 0; r < p->rows; r++)
        p->labels[r] = numbers_between(n, 0, p->config.classes - 1);
}

#endif
