/* tfrecord.c - see tfrecord.h. */
#include "common/tfrecord.h"

#include "common/crc32c.h"

enum { LENGTH_BYTES = 8 };

static void put_little_endian(uint64_t value, uint8_t *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

uint32_t tfrecord_mask(uint32_t crc)
{
    return ((crc >> 15) | (crc << 17)) + UINT32_C(0xa282ead8);
}

void tfrecord_frame(const void *data, size_t bytes, uint8_t head[TFRECORD_HEAD_BYTES],
                    uint8_t foot[TFRECORD_FOOT_BYTES])
{
    put_little_endian(bytes, head, LENGTH_BYTES);
    put_little_endian(tfrecord_mask(crc32c(head, LENGTH_BYTES)), head + LENGTH_BYTES, sizeof(uint32_t));
    put_little_endian(tfrecord_mask(crc32c(data, bytes)), foot, sizeof(uint32_t));
}
