/* optimizer_kernels.h - the loops of an update: one block of elements, in one pass over its memory.
 *
 * Private to ps/optimizer*.c, and only arithmetic: which numbers an optimizer is given, and how a slice is
 * cut into blocks, is decided in optimizer.c. Every loop is compiled for several vector widths
 * (common/vectorise.h); all give the same bits. */
#ifndef PENSTOCK_PS_OPTIMIZER_KERNELS_H
#define PENSTOCK_PS_OPTIMIZER_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "ps/optimizer.h"

enum { KERNEL_GRADIENTS_MAX = 4 }; /* reduced on the way; more are added up before */

/* What is the same for all elements of a step. An optimizer uses some of it, as optimizer.h has it. */
typedef struct {
    float rate; /* adam: over the first moment's bias correction */
    float momentum, epsilon;
    float past1, present1, past2, present2; /* shares of the old and the new in a moving average */
    float spread;                  /* adam: one over the root of the second moment's bias correction */
    float keep;                    /* adamw: what is left of a weight after its decay */
    float power, threshold, ridge; /* ftrl: p, lr l1, 2 lr l2 */
} kernel_constants;

typedef struct {
    const kernel_constants *constants;
    const float *weights;
    float *next; /* may equal weights */
    float *slots[OPTIMIZER_SLOTS_MAX];
    const float *gradients[KERNEL_GRADIENTS_MAX];
    float shares[KERNEL_GRADIENTS_MAX]; /* what each gradient is multiplied by */
    size_t count;                       /* elements */
} kernel_block;

/* False if it took a gradient for 0 because it was NaN or Inf. */
typedef bool kernel(const kernel_block *block);

typedef struct {
    kernel *ready;                          /* gradients[0] as it is: reduced, guarded, clipped and decayed */
    kernel *reducing[KERNEL_GRADIENTS_MAX]; /* [n - 1] reduces n gradients and guards the sum */
} kernel_set;

/* adam: adamw too. ftrl: with the root for a power, and with any. */
extern const kernel_set kernels_sgd, kernels_momentum, kernels_nesterov, kernels_adagrad, kernels_rmsprop,
    kernels_adam, kernels_ftrl_root, kernels_ftrl_power;

/* [n - 1] only reduces n gradients, into `next`; guards nothing. */
extern kernel *const kernels_reduce[KERNEL_GRADIENTS_MAX];

/* The other parts that may come before `ready`, in place. */
bool kernel_guard(float *values, size_t count);
void kernel_clip(float *values, float limit, size_t count);
void kernel_decay(float *values, const float *weights, float decay, size_t count);

/* Can this processor write past its caches, from C? */
#if defined(__SSE2__)
enum { KERNEL_CAN_STREAM = 1 };
#else
enum { KERNEL_CAN_STREAM = 0 };
#endif

/* Copies past the caches, if it can: for a destination that will not be read soon. kernel_fence makes all
 * that the thread has so copied visible to other threads; call it before handing the destination on. */
void kernel_stream(float *to, const float *from, size_t count);
void kernel_fence(void);

#endif
