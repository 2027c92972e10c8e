/* growing.h - a list that gets longer one by one, without a count of its room: it is doubled whenever the
 * count is a power of two. */
#ifndef PENSTOCK_DEPLOY_GROWING_H
#define PENSTOCK_DEPLOY_GROWING_H

#include <stddef.h>
#include <stdlib.h>

/* The list with room for one more than `count` elements of `size` bytes, which may have moved; NULL: out of
 * memory, and the list is as it was. An empty one is NULL. */
static inline void *growing_room(void *list, size_t count, size_t size)
{
    if (count > 0 && (count & (count - 1)) != 0)
        return list;
    return realloc(list, (count > 0 ? 2 * count : 1) * size);
}

#endif
