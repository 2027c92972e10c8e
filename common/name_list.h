/* name_list.h - the names of an enum's values, by which people see and choose them. */
#ifndef PENSTOCK_COMMON_NAME_LIST_H
#define PENSTOCK_COMMON_NAME_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* By value; NULL: that one is not chosen by a name. */
typedef struct {
    const char *noun; /* "optimizer" */
    const char *const *names;
    uint32_t count;
} name_list;

/* "?" if there is none. */
const char *name_list_name(const name_list *list, uint32_t value);

/* The value with this name. PS_EINVAL: there is none; the message lists them. */
ps_status name_list_find(const name_list *list, const char *text, uint32_t *value, ps_error *error);

/* "sgd, momentum, ...", cut if there is no room for it. */
void name_list_join(const name_list *list, char *line, size_t room);

/* Defines ps_status FUNCTION(const char *text, type *value, ps_error *error), which finds in a name_list. */
#define NAME_LIST_PARSER(function, type, list)                               \
    ps_status function(const char *text, type *value, ps_error *error)       \
    {                                                                        \
        uint32_t found = 0;                                                  \
        const ps_status status = name_list_find(&list, text, &found, error); \
        if (status == PS_OK)                                                 \
            *value = (type)found;                                            \
        return status;                                                       \
    }

/* Defines, for an enum whose values 0, 1, ... the X-macro `values` gives with their names:
 *   const char *PREFIX_name(type value);
 *   ps_status PREFIX_parse(const char *text, type *value, ps_error *error);
 * and their list, PREFIX_names. */
#define NAME_LIST_TEXT(constant, text) text,
#define NAME_LIST_DEFINE(prefix, type, values, noun)                                                      \
    static const char *const prefix##_texts[] = {values(NAME_LIST_TEXT)};                                 \
    static const name_list prefix##_names = {noun, prefix##_texts,                                        \
                                             (uint32_t)(sizeof prefix##_texts / sizeof *prefix##_texts)}; \
                                                                                                          \
    const char *prefix##_name(type value)                                                                 \
    {                                                                                                     \
        return name_list_name(&prefix##_names, (uint32_t)value);                                          \
    }                                                                                                     \
                                                                                                          \
    NAME_LIST_PARSER(prefix##_parse, type, prefix##_names)

#endif
