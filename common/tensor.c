/* tensor.c - see tensor.h. A repeated name is found through a hash table, so that a table of 65,536
 * tensors, which a stranger may announce, costs milliseconds. */
#include "common/tensor.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/plain_text.h"

enum {
    TABLE_CAPACITY_MIN = 16,
#define INITIALIZER_COUNT(name, text) +1
    INITIALIZER_KINDS = INITIALIZER_LIST(INITIALIZER_COUNT)
#undef INITIALIZER_COUNT
};

/* Far enough below the largest float that no draw around a mean can overflow it. */
static const double INITIALIZER_PARAMETER_MAX = 1e30;

uint64_t tensor_elements(const tensor *t)
{
    uint64_t elements = 1;
    for (uint32_t d = 0; d < t->rank; d++)
        elements *= t->shape[d];
    return elements;
}

static ps_status check_name(const char *name, uint32_t position, ps_error *error)
{
    size_t length = strnlen(name, TENSOR_NAME_MAX + 1);
    if (length == 0)
        return ps_fail(error, PS_ECONFIG, "tensor %u has an empty name: give every tensor a name", position);
    if (length > TENSOR_NAME_MAX)
        return ps_fail(error, PS_ECONFIG, "the name of tensor %u, '%.32s...', is longer than %d bytes",
                       position, name, TENSOR_NAME_MAX);
    for (size_t i = 0; i < length; i++) {
        if (is_control_character(name[i]))
            return ps_fail(error, PS_ECONFIG,
                           "the name of tensor %u, '%s', has the control character 0x%02x at byte %zu",
                           position, name, (unsigned char)name[i], i);
    }
    return PS_OK;
}

static ps_status check_shape(const tensor *t, ps_error *error)
{
    if (t->rank < 1 || t->rank > TENSOR_RANK_MAX)
        return ps_fail(error, PS_ECONFIG, "tensor '%s' has rank %u, which must be 1 to %d (a scalar is [1])",
                       t->name, t->rank, TENSOR_RANK_MAX);
    uint64_t elements = 1;
    for (uint32_t d = 0; d < t->rank; d++) {
        if (t->shape[d] == 0)
            return ps_fail(error, PS_ECONFIG, "tensor '%s' has dimension %u of size 0: it would be empty",
                           t->name, d);
        if (t->shape[d] > TENSOR_ELEMENTS_MAX / elements)
            return ps_fail(error, PS_ECONFIG, "tensor '%s' has more than %llu elements", t->name,
                           (unsigned long long)TENSOR_ELEMENTS_MAX);
        elements *= t->shape[d];
    }
    return PS_OK;
}

static uint32_t parameters_taken(initializer_kind kind)
{
    switch (kind) {
    case INITIALIZER_CONSTANT:
        return 1;
    case INITIALIZER_UNIFORM:
    case INITIALIZER_NORMAL:
    case INITIALIZER_TRUNCATED_NORMAL:
        return 2;
    case INITIALIZER_ZEROS:
    case INITIALIZER_GLOROT_UNIFORM:
    case INITIALIZER_GLOROT_NORMAL:
    case INITIALIZER_HE_UNIFORM:
    case INITIALIZER_HE_NORMAL:
        break;
    }
    return 0;
}

static ps_status check_initializer(const tensor *t, ps_error *error)
{
    const initializer *init = &t->init;
    if ((unsigned)init->kind >= INITIALIZER_KINDS)
        return ps_fail(error, PS_ECONFIG, "tensor '%s' has the unknown initializer %u", t->name,
                       (unsigned)init->kind);
    const double parameters[] = {init->a, init->b};
    for (uint32_t i = 0; i < 2; i++) {
        /* Written so that NaN fails it. */
        if (!(fabs(parameters[i]) <= INITIALIZER_PARAMETER_MAX))
            return ps_fail(
                error, PS_ECONFIG,
                "tensor '%s' has initializer parameter %c = %g, whose magnitude must be at most %g", t->name,
                "ab"[i], parameters[i], INITIALIZER_PARAMETER_MAX);
        if (i >= parameters_taken(init->kind) && parameters[i] != 0)
            return ps_fail(
                error, PS_ECONFIG,
                "tensor '%s' has initializer parameter %c = %g, which its initializer does not take", t->name,
                "ab"[i], parameters[i]);
    }
    if (init->kind == INITIALIZER_UNIFORM && init->b < init->a)
        return ps_fail(error, PS_ECONFIG, "tensor '%s' is uniform in [%g, %g): the bounds are swapped",
                       t->name, init->a, init->b);
    if (init->kind != INITIALIZER_UNIFORM && init->b < 0)
        return ps_fail(error, PS_ECONFIG, "tensor '%s' has standard deviation %g, which must not be negative",
                       t->name, init->b);
    return PS_OK;
}

/* FNV-1a: Fowler, Noll and Vo. */
static uint32_t hash_name(const char *name)
{
    uint32_t hash = UINT32_C(2166136261);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT32_C(16777619);
    return hash;
}

/* Where `name` is, or where it belongs. The table is at most half full, so the walk ends. */
static uint32_t *find_position(const tensor_table *table, const char *name)
{
    uint32_t mask = 2 * table->capacity - 1;
    uint32_t i = hash_name(name) & mask;
    while (table->positions[i] != 0 && strcmp(table->tensors[table->positions[i] - 1].name, name) != 0)
        i = (i + 1) & mask;
    return &table->positions[i];
}

/* A table of this capacity with the same tensors. On failure nothing has changed. */
static bool clone_with_capacity(const tensor_table *from, uint32_t capacity, tensor_table *to)
{
    tensor_table clone = {.count = from->count, .capacity = capacity};
    clone.tensors = calloc(capacity, sizeof *clone.tensors);
    clone.positions = calloc((size_t)2 * capacity, sizeof *clone.positions);
    if (!clone.tensors || !clone.positions) {
        tensor_table_fini(&clone);
        return false;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        clone.tensors[i] = from->tensors[i];
        *find_position(&clone, clone.tensors[i].name) = i + 1;
    }
    *to = clone;
    return true;
}

static uint32_t capacity_for(uint32_t count)
{
    uint32_t capacity = TABLE_CAPACITY_MIN;
    while (capacity < count)
        capacity *= 2;
    return capacity;
}

ps_status tensor_table_add(tensor_table *table, const tensor *t, ps_error *error)
{
    ps_status status = check_name(t->name, table->count, error);
    if (status == PS_OK)
        status = check_shape(t, error);
    if (status == PS_OK)
        status = check_initializer(t, error);
    if (status == PS_OK && t->push_codec != CODEC_DEFAULT && !codec_is_known(t->push_codec))
        status = ps_fail(error, PS_ECONFIG, "tensor '%s' has the unknown push codec %u", t->name,
                         (unsigned)t->push_codec);
    if (status != PS_OK)
        return status;
    if (table->count == TENSOR_TABLE_MAX)
        return ps_fail(error, PS_ECONFIG, "tensor '%s' is one too many: a table holds at most %d", t->name,
                       TENSOR_TABLE_MAX);
    if (table->count == table->capacity) {
        tensor_table grown;
        if (!clone_with_capacity(table, capacity_for(table->count + 1), &grown))
            return ps_fail(error, PS_ENOMEM, "out of memory for a table of %u tensors", table->count + 1);
        tensor_table_fini(table);
        *table = grown;
    }
    uint32_t *position = find_position(table, t->name);
    if (*position != 0)
        return ps_fail(error, PS_ECONFIG, "tensors %u and %u are both named '%s': names must differ",
                       *position - 1, table->count, t->name);
    table->tensors[table->count] = *t;
    *position = ++table->count;
    return PS_OK;
}

ps_status tensor_table_copy(const tensor_table *from, tensor_table *to)
{
    if (from->count == 0)
        return PS_OK;
    return clone_with_capacity(from, capacity_for(from->count), to) ? PS_OK : PS_ENOMEM;
}

uint64_t tensor_table_elements(const tensor_table *table)
{
    uint64_t elements = 0;
    for (uint32_t i = 0; i < table->count; i++)
        elements += tensor_elements(&table->tensors[i]);
    return elements;
}

void tensor_table_fini(tensor_table *table)
{
    free(table->tensors);
    free(table->positions);
    *table = (tensor_table){0};
}
