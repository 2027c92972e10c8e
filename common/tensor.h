/* tensor.h - the model as a parameter server sees it: an ordered table of named dense tensors.
 *
 * Only names, shapes and initial values live here; the floats are in buffers. All elements are
 * float32, row-major. The order of the table is part of the job: every process declares the same. */
#ifndef PENSTOCK_COMMON_TENSOR_H
#define PENSTOCK_COMMON_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "common/codec.h"
#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    TENSOR_NAME_MAX = 127, /* bytes, without the terminator */
    TENSOR_RANK_MAX = 8,
    TENSOR_TABLE_MAX = 65536, /* tensors in a table */
};
/* Elements of one tensor: 2^40, four TiB. */
#define TENSOR_ELEMENTS_MAX (UINT64_C(1) << 40)

/* How the initial values of a tensor are made. Glorot: Glorot and Bengio 2010; He: He et al. 2015.
 * fan_in is shape[0] and fan_out shape[rank-1] (kernels are stored in x out); a vector has
 * fan_in = fan_out = its length. */
#define INITIALIZER_LIST(X)                                                                          \
    X(INITIALIZER_ZEROS, "zeros")                                                                    \
    X(INITIALIZER_CONSTANT, "constant")                 /* a */                                      \
    X(INITIALIZER_UNIFORM, "uniform")                   /* in [a, b) */                              \
    X(INITIALIZER_NORMAL, "normal")                     /* mean a, standard deviation b */           \
    X(INITIALIZER_TRUNCATED_NORMAL, "truncated-normal") /* the same, redrawn outside 2 deviations */ \
    X(INITIALIZER_GLOROT_UNIFORM, "glorot-uniform")     /* +-sqrt(6 / (fan_in + fan_out)) */         \
    X(INITIALIZER_GLOROT_NORMAL, "glorot-normal")       /* deviation sqrt(2 / (fan_in + fan_out)) */ \
    X(INITIALIZER_HE_UNIFORM, "he-uniform")             /* +-sqrt(6 / fan_in) */                     \
    X(INITIALIZER_HE_NORMAL, "he-normal")               /* deviation sqrt(2 / fan_in) */

typedef enum {
#define INITIALIZER_ENUM(name, text) name,
    INITIALIZER_LIST(INITIALIZER_ENUM)
#undef INITIALIZER_ENUM
} initializer_kind;

typedef struct {
    initializer_kind kind;
    double a, b; /* parameters of constant, uniform, normal and truncated-normal; else 0 */
} initializer;

typedef struct {
    char name[TENSOR_NAME_MAX + 1];
    uint32_t rank;
    uint64_t shape[TENSOR_RANK_MAX];
    initializer init;
    codec_kind push_codec; /* how its gradients travel; CODEC_DEFAULT: as the job says */
} tensor;

/* Owns what it points to. All zero is the empty table. */
typedef struct {
    tensor *tensors;
    uint32_t count;
    uint32_t capacity;   /* private: room in `tensors`, a power of two */
    uint32_t *positions; /* private: hash table of 2 * capacity; position + 1 of a name, 0 if free */
} tensor_table;

/* Product of the shape; of a checked tensor, so it cannot overflow. */
uint64_t tensor_elements(const tensor *t);

/* Appends a copy. PS_ECONFIG, naming the tensor, for an empty or repeated name, a name with control
 * characters, a rank outside 1..TENSOR_RANK_MAX, a dimension of 0, more than TENSOR_ELEMENTS_MAX elements,
 * an initializer that is unknown, has parameters it does not take or could make values that are not
 * finite, or an unknown codec; PS_ECONFIG for a full table; PS_ENOMEM. The table is then unchanged. */
ps_status tensor_table_add(tensor_table *table, const tensor *t, ps_error *error);

/* A deep copy into an empty table. PS_ENOMEM, and then `to` is still empty. */
ps_status tensor_table_copy(const tensor_table *from, tensor_table *to);

/* Sum of tensor_elements. */
uint64_t tensor_table_elements(const tensor_table *table);

/* Frees what the table owns and leaves it empty. */
void tensor_table_fini(tensor_table *table);

#ifdef __cplusplus
}
#endif
#endif
