/* checksum.c - see checksum.h. */
#include "common/checksum.h"

#include <zlib.h>

uint32_t checksum(const void *bytes, size_t count)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, count);
}

uint32_t checksum_more(uint32_t before, const void *bytes, size_t count)
{
    return (uint32_t)crc32_z(before, bytes, count);
}
