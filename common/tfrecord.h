/* tfrecord.h - the framing of TFRecord files, in which TensorBoard expects events:
 *
 *   u64 length | u32 masked CRC-32C of these 8 bytes | data | u32 masked CRC-32C of the data
 *
 * all little-endian. Pure: what is done with the bytes is the caller's business. */
#ifndef PENSTOCK_COMMON_TFRECORD_H
#define PENSTOCK_COMMON_TFRECORD_H

#include <stddef.h>
#include <stdint.h>

enum {
    TFRECORD_HEAD_BYTES = 12,
    TFRECORD_FOOT_BYTES = 4,
};

/* A CRC-32C as it stands in such files, changed so that a file of CRCs has none that is its own. */
uint32_t tfrecord_mask(uint32_t crc);

/* What stands before and behind a record of `bytes`. */
void tfrecord_frame(const void *data, size_t bytes, uint8_t head[TFRECORD_HEAD_BYTES],
                    uint8_t foot[TFRECORD_FOOT_BYTES]);

#endif
