/* mlp_state.h - a perceptron's memory. Private to worker/mlp*.c:
 *
 *   mlp_memory.c  what it takes of host and device
 *   mlp.c         what it computes there */
#ifndef PENSTOCK_WORKER_MLP_STATE_H
#define PENSTOCK_WORKER_MLP_STATE_H

#include "worker/mlp_layers.h"
#include "worker/replay.h"

enum { BATCH_PLACES = REPLAY_PLACES };

/* A batch on the device. */
typedef struct {
    float *features;
    uint32_t *labels;
} place;

/* The arrays of a call, as the caller named them. */
typedef struct {
    const float *features;
    const uint32_t *labels;
    uint32_t rows;
} batch;

/* Mirrors of the host arrays of a call; all NULL on a backend whose memory is the host's. */
typedef struct {
    float *weights;
    float *gradients;
    place places[BATCH_PLACES];
    double *squares; /* (depth x MLP_LAYER_TENSORS) of gradients; NULL where the backend does not measure */
    backend_score *score;
    backend_mark *turn;                    /* hands on from queue to queue */
    backend_mark *arrived[MLP_LAYERS_MAX]; /* the layer's gradient, on the host */
} mirrors;

struct mlp {
    backend *backend;
    uint32_t max_rows;
    uint32_t depth;      /* layers, the output layer included */
    uint64_t parameters; /* elements of a flat array */
    mlp_layer layers[MLP_LAYERS_MAX];
    float *outputs[MLP_LAYERS_MAX]; /* (max_rows x layers[l].outputs); the last: logits, then their delta */
    float *deltas[2];               /* (max_rows x widest hidden layer); NULL without hidden layers */
    backend_score *score;           /* on the host */
    double *squares;                /* likewise, as the device's */
    mirrors device;
    uint32_t current; /* place of the batch that is computed on */
    batch ahead;      /* what has been brought to the other place; no rows: nothing */
    replay rest;      /* of a step, once the host has nothing more to wait for */
};

#endif
