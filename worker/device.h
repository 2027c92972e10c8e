/* device.h - on which device does this process compute? --device and --precision come to a backend here. */
#ifndef PENSTOCK_WORKER_DEVICE_H
#define PENSTOCK_WORKER_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/status.h"
#include "worker/backend.h"
#include "worker/backend_cuda.h"

enum { DEVICE_INDEX_MAX = 1023, DEVICE_TEXT = 512 };

typedef enum {
    DEVICE_AUTO, /* CUDA if it can be used, else the processor; but not for a device that is lost (PS_EDEVICE)
                  */
    DEVICE_CPU,
    DEVICE_CUDA,
} device_kind;

typedef struct {
    device_kind kind;
    bool index_given; /* cuda:N; else the workers of a host take turns */
    uint32_t index;
    precision_kind precision;
} device_wish;

/* For people. */
typedef struct {
    char name[DEVICE_TEXT]; /* "cpu", or "cuda:1 of 2, NVIDIA H200, in fp32" */
    char why[DEVICE_TEXT];  /* it is not CUDA though that was wished for; else empty */
} device_choice;

/* "cuda", "cuda:N", "cpu" or "auto". PS_EINVAL. */
ps_status device_parse(const char *text, device_wish *wish, ps_error *error);
ps_status precision_parse(const char *text, precision_kind *kind, ps_error *error);
const char *precision_name(precision_kind kind);

/* The backend that is wished for, and what it is.
 * `rank`: of the worker, who without an index takes device rank modulo their number. `threads`: of the
 * processor. PS_EINVAL also for a precision that the device has not, which is never changed for another;
 * else as backend_cuda_create and backend_cpu_create. */
ps_status device_open(const device_wish *wish, uint32_t rank, uint32_t threads, backend **out,
                      device_choice *chosen, ps_error *error);

/* What device_open could choose from, for people. */
void device_list(FILE *to);

#endif
