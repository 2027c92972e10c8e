/* cuda_bf16.h - bfloat16 as CUDA names it: a float's upper half. Only converts. */
#ifndef PENSTOCK_CUDA_HOST_BF16_H
#define PENSTOCK_CUDA_HOST_BF16_H

#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
    uint16_t bits;
};

/* To nearest, ties to even; NaN becomes CUDA's one NaN. */
inline __nv_bfloat16 __float2bfloat16_rn(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return {0x7fff};
    bits += 0x7fff + (bits >> 16 & 1);
    return {static_cast<uint16_t>(bits >> 16)};
}

inline __nv_bfloat16 __float2bfloat16(float value)
{
    return __float2bfloat16_rn(value);
}

inline float __bfloat162float(__nv_bfloat16 value)
{
    const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

#endif
