/* plain_text.c - see plain_text.h. */
#include "common/plain_text.h"

#include <string.h>

void plain_text(char *text, size_t bytes, const char *kept)
{
    for (size_t i = 0; i < bytes; i++)
        if (is_control_character(text[i]) && (text[i] == '\0' || !strchr(kept, text[i])))
            text[i] = '?';
}
