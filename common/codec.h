/* codec.h - how are the floats of a slice laid out on the wire?
 *
 * A codec turns a slice's (count) f32 into a payload and back. All formats are little-endian; a payload's
 * size follows from codec, job and count alone, so a receiver knows it beforehand.
 *
 *   fp32   f32 each.
 *   bf16   u16 each: sign, 8 bits of exponent, 7 of fraction; rounded to the nearest, ties to even. The
 *          error is at most 2^-8 of the value (of ordinary numbers).
 *   fp16   u16 each: IEEE 754 binary16, rounded alike. At most 2^-11 of the value, or 2^-25 below 2^-14.
 *   int8   blocks of CODEC_BLOCK elements, the last one shorter, each:
 *            offset 0  f32 scale: largest magnitude of the block / 127, at most 2^121 (so that no product
 *                      overflows); 0 if that would be no normal number
 *            offset 4  i8 per element: value * (127 / largest magnitude), nearest, ties to even
 *          An element stands for scale * i8. The error is at most half a scale (and its rounding).
 *   topk   the topk_fraction of the slice's elements that are largest in magnitude, at least one, rounded
 *          up; of equal ones those with the lower index. Per element codec_topk_entry, indices rising.
 *          All others count as zero. (Aji and Heafield 2017)
 *
 * Special values. The client leaves out gradients that hold NaN or Inf before they come to a codec. Still,
 * encoding is defined for them, and bf16 and fp16 carry them as what they are. What is finite stays so: a
 * number too large for bf16 or fp16 becomes their largest finite one, because one Inf in a sum would spoil
 * the weights for good, which one clipped gradient does not.
 *
 * Error feedback (Seide et al. 2014; Stich et al. 2018). topk keeps what it did not send in a residual,
 * (count) f32 that starts at zero: encode adds the values to it, sends the largest elements of the sum and
 * leaves the rest. Element by element, sent + residual is residual before + value, in float32, exactly. The
 * residual is the caller's, belongs to one slice, and is a part of what a worker has to restore to continue
 * with the same bits; it is a plain array, saved and restored as such. Encode once per step: a repeat sends
 * the payload again.
 *
 * Bits: encoding and decoding give the same bits on every machine and whatever the floating-point mode of the
 * thread says about denormals; but for sums (the residual, codec_add_scaled), which follow that mode, like
 * all arithmetic. bf16, fp16 and fp32 treat each element alone, so it does not matter where a tensor is cut
 * into slices; int8 and topk look at blocks and slices, so for them it does.
 *
 * Pure arithmetic: thread-safe on disjoint data. Payloads and floats are aligned to 4. */
#ifndef PENSTOCK_COMMON_CODEC_H
#define PENSTOCK_COMMON_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/*    kind        name */
#define CODEC_LIST(X)     \
    X(CODEC_FP32, "fp32") \
    X(CODEC_BF16, "bf16") \
    X(CODEC_FP16, "fp16") \
    X(CODEC_INT8, "int8") \
    X(CODEC_TOPK, "topk")

#define CODEC_ENUM(kind, name) kind,
typedef enum {
    CODEC_DEFAULT = 0, /* of a tensor: the job's. No codec by itself */
    CODEC_LIST(CODEC_ENUM)
} codec_kind;
#undef CODEC_ENUM

enum { CODEC_BLOCK = 256 };
/* More than this in topk would make a payload larger than fp32's. */
#define CODEC_TOPK_FRACTION_MAX 0.5

typedef struct {
    codec_kind kind;
    double topk_fraction; /* topk: in (0, CODEC_TOPK_FRACTION_MAX] */
} codec_config;

/* One element of a topk payload, as on the wire. */
typedef struct {
    uint32_t index; /* within the slice */
    float value;
} codec_topk_entry;

/* A payload that codec_check has passed, or that this process encoded. Borrowed. It may lie in memory that is
 * shared with its sender: should that one change it meanwhile, numbers become arbitrary, and nothing worse.
 */
typedef struct {
    codec_kind kind;
    const void *data;
    size_t bytes;
} codec_payload;

/* Floats as they are. values: (count) f32. */
static inline codec_payload codec_plain(const float *values, uint64_t count)
{
    codec_payload payload = {CODEC_FP32, values, (size_t)count * sizeof *values};
    return payload;
}

/* "bf16", "default"; "?" outside the list. */
const char *codec_kind_name(codec_kind kind);

/* The reverse. PS_EINVAL, listing the known names. */
ps_status codec_kind_parse(const char *text, codec_kind *kind, ps_error *error);

/* Is it a codec, and may weights travel by it? Not so by those that lose more than rounding does. */
bool codec_is_known(codec_kind kind);
bool codec_suits_weights(codec_kind kind);

/* Does codec_encode need a residual? */
bool codec_keeps_residual(codec_kind kind);

/* Size of the payload for `count` elements. */
size_t codec_bytes(const codec_config *config, uint64_t count);

/* values: (count) f32. residual: (count) f32 if codec_keeps_residual, else NULL. payload: receives
 * codec_bytes. count < 2^32. */
void codec_encode(const codec_config *config, const float *values, uint64_t count, float *residual,
                  void *payload);

/* Judges what a stranger sent for `count` elements. PS_EMISMATCH: it is a payload of another size.
 * PS_EFORMAT: no encoder makes this (order or range of indices, a scale that is negative or too large). NaN
 * and Inf are no matter of form: that is codec_is_finite's. Of fp32, bf16 and fp16 only the size is looked
 * at. */
ps_status codec_check(const codec_config *config, const void *payload, size_t bytes, uint64_t count,
                      ps_error *error);

/* Is every decoded number finite? */
bool codec_is_finite(const codec_payload *payload, uint64_t count);

/* Elements [first, first + count) as floats; first is a multiple of CODEC_BLOCK. values: (count) f32. */
void codec_decode(const codec_payload *payload, uint64_t first, size_t count, float *values);

/* sum[i] += weight * decoded element, with the bits of decoding first; but elements that topk has not sent
 * are passed over. */
void codec_add_scaled(const codec_payload *payload, uint64_t first, size_t count, float weight, float *sum);

#ifdef __cplusplus
}
#endif
#endif
