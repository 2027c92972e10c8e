/* Any bytes as a safetensors file: what is accepted lies within the bytes and covers the data. */
#include <string.h>

#include "common/safetensors.h"
#include "tests/fuzz/fuzz.h"

static void check_file(const safetensors_file *file, const char *bytes, size_t size)
{
    uint64_t length;
    memcpy(&length, bytes, sizeof length);
    const char *reached = bytes + sizeof length + length;
    for (uint32_t i = 0; i < file->count; i++) {
        const safetensors_entry *entry = &file->entries[i];
        uint64_t elements = 1;
        for (uint32_t k = 0; k < entry->rank; k++)
            elements *= entry->shape[k];
        FUZZ_REQUIRE(elements == entry->elements);
        FUZZ_REQUIRE((const char *)entry->values == reached);
        FUZZ_REQUIRE(safetensors_find(file, entry->name) == entry);
        reached += elements * sizeof(float);
    }
    FUZZ_REQUIRE(reached == bytes + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    /* Aligned as a mapped file is, and of exactly its size. */
    char *copy = malloc(bytes ? bytes : 1);
    if (!copy)
        return 0;
    memcpy(copy, data, bytes);
    safetensors_file file;
    ps_error error;
    if (safetensors_parse(copy, bytes, &file, &error) == PS_OK)
        check_file(&file, copy, bytes);
    safetensors_close(&file);
    free(copy);
    return 0;
}
