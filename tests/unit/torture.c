/* torture.c - see torture.h. */
#include "tests/unit/torture.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/recycler.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);

static bool active;
static long left, asked;

void torture_begin(long allocations)
{
    if (allocations != LONG_MAX)
        recycler_drop();
    active = true;
    left = allocations;
    asked = 0;
}

void torture_end(void)
{
    active = false;
}

long torture_count(void)
{
    return asked;
}

static bool is_to_fail(void)
{
    if (!active)
        return false;
    asked++;
    return left-- <= 0;
}

void *__wrap_malloc(size_t bytes)
{
    return is_to_fail() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return is_to_fail() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return is_to_fail() ? NULL : __real_realloc(memory, bytes);
}
