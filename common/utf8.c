/* utf8.c - see utf8.h. */
#include "common/utf8.h"

size_t utf8_length(const char *text, size_t bytes)
{
    const unsigned char *b = (const unsigned char *)text;
    const unsigned lead = b[0];
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xc2 ? 0
                          : lead < 0xe0 ? 2
                          : lead < 0xf0 ? 3
                          : lead < 0xf5 ? 4
                                        : 0;
    if (length == 0 || length > bytes)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && b[1] < 0xa0) || (lead == 0xed && b[1] >= 0xa0) || (lead == 0xf0 && b[1] < 0x90) ||
        (lead == 0xf4 && b[1] >= 0x90))
        return 0;
    return length;
}
