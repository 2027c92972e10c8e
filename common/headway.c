/* headway.c - see headway.h. */
#include "common/headway.h"

#include <stdatomic.h>

static _Atomic uint64_t notes;

void headway_note(void)
{
    atomic_fetch_add_explicit(&notes, 1, memory_order_relaxed);
}

uint64_t headway_count(void)
{
    return atomic_load_explicit(&notes, memory_order_relaxed);
}
