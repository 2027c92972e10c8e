/* plain_text.h - text of others, before it goes to a terminal or into a log.
 *
 * A control character (below 0x20, and DEL) could end a line and forge the next one, or steer the terminal.
 * What is shown has '?' in its place. */
#ifndef PENSTOCK_COMMON_PLAIN_TEXT_H
#define PENSTOCK_COMMON_PLAIN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

static inline bool is_control_character(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Puts '?' in place of the control characters in `text`, but for those that `kept` lists, such as "\t\n" (a
 * zero is never kept). */
void plain_text(char *text, size_t bytes, const char *kept);

#endif
