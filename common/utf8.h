/* utf8.h - is this text UTF-8? For all that reads or writes JSON. */
#ifndef PENSTOCK_COMMON_UTF8_H
#define PENSTOCK_COMMON_UTF8_H

#include <stddef.h>

/* Length of the character that `text` of `bytes`, 1 or more, begins with; 0 if that is none, or cut (RFC
 * 3629: shortest form, no surrogates). */
size_t utf8_length(const char *text, size_t bytes);

#endif
