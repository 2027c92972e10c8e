/* checksum.h - CRC-32 (that of zlib, PNG and gzip) over any number of bytes: against bits that flip and files
 * that are torn, not against malice. Thread-safe. */
#ifndef PENSTOCK_COMMON_CHECKSUM_H
#define PENSTOCK_COMMON_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint32_t checksum(const void *bytes, size_t count);

/* That of some bytes, whose checksum is `before`, and these behind them. */
uint32_t checksum_more(uint32_t before, const void *bytes, size_t count);

#endif
