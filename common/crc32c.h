/* crc32c.h - CRC-32C (Castagnoli; that of iSCSI, ext4 and TFRecord), for formats that prescribe it. Our own
 * files use common/checksum.h, which is faster. Thread-safe. */
#ifndef PENSTOCK_COMMON_CRC32C_H
#define PENSTOCK_COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* crc32c("123456789", 9) = 0xe3069283. */
uint32_t crc32c(const void *bytes, size_t count);

#endif
