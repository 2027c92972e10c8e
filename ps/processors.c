/* processors.c - see processors.h. */
#include "ps/processors.h"

#include <assert.h>
#include <ctype.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

static_assert((int)PROCESSORS_MAX == (int)CPU_SETSIZE, "every number has its bit");

/* A decimal number at `*text`, which moves behind it. What is too large for a processor is cut to
 * PROCESSORS_MAX. */
static bool take_number(const char **text, uint32_t *number)
{
    if (!isdigit((unsigned char)**text))
        return false;
    char *end;
    unsigned long parsed = strtoul(*text, &end, 10);
    *number = parsed < PROCESSORS_MAX ? (uint32_t)parsed : PROCESSORS_MAX;
    *text = end;
    return true;
}

static bool has(const processor_list *list, uint32_t number)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->numbers[i] == number)
            return true;
    return false;
}

static ps_status add_range(const char *name, uint32_t first, uint32_t last, processor_list *list,
                           ps_error *error)
{
    if (last >= PROCESSORS_MAX)
        return ps_fail(error, PS_EINVAL, "--%s: processors are numbered from 0 to %d at most", name,
                       PROCESSORS_MAX - 1);
    if (first > last)
        return ps_fail(error, PS_EINVAL, "--%s: %u-%u runs backwards", name, first, last);
    for (uint32_t number = first; number <= last; number++) {
        if (has(list, number))
            return ps_fail(error, PS_EINVAL, "--%s: processor %u is listed twice", name, number);
        list->numbers[list->count++] = (uint16_t)number;
    }
    return PS_OK;
}

ps_status processors_parse(const char *name, const char *text, processor_list *list, ps_error *error)
{
    const char *rest = text;
    list->count = 0;
    for (;;) {
        uint32_t first, last;
        if (!take_number(&rest, &first))
            break;
        last = first;
        if (*rest == '-') {
            rest++;
            if (!take_number(&rest, &last))
                break;
        }
        if (*rest && *rest != ',')
            break;
        ps_status status = add_range(name, first, last, list, error);
        if (status != PS_OK || !*rest)
            return status;
        rest++;
    }
    return ps_fail(error, PS_EINVAL, "--%s: '%s' is not a list of processors such as 0-3,8", name, text);
}

ps_status processors_check(const char *name, const processor_list *list, ps_error *error)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return PS_OK; /* more processors than the set can hold; pinning itself will tell */
    for (uint32_t i = 0; i < list->count; i++)
        if (!CPU_ISSET(list->numbers[i], &allowed))
            return ps_fail(error, PS_EINVAL, "--%s: processor %u is not there, or not for this process", name,
                           list->numbers[i]);
    return PS_OK;
}
