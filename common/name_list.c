/* name_list.c - see name_list.h. */
#include "common/name_list.h"

#include <stdio.h>
#include <string.h>

const char *name_list_name(const name_list *list, uint32_t value)
{
    return value < list->count && list->names[value] ? list->names[value] : "?";
}

ps_status name_list_find(const name_list *list, const char *text, uint32_t *value, ps_error *error)
{
    char known[256];
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->names[i] && strcmp(text, list->names[i]) == 0) {
            *value = i;
            return PS_OK;
        }
    }
    name_list_join(list, known, sizeof known);
    return ps_fail(error, PS_EINVAL, "%s '%.64s' is unknown: choose one of %s", list->noun, text, known);
}

void name_list_join(const name_list *list, char *line, size_t room)
{
    size_t used = 0;
    line[0] = '\0';
    for (uint32_t i = 0; i < list->count && used < room; i++)
        if (list->names[i])
            used += (size_t)snprintf(line + used, room - used, "%s%s", used > 0 ? ", " : "", list->names[i]);
}
