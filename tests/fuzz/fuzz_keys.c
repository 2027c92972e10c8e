/* Any text as a list of keys: what is accepted is sorted, whole, and found again. */
#include "common/allow_list.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    allow_list list;
    ps_error error;
    if (allow_list_parse((const char *)data, bytes, &list, &error) != PS_OK) {
        FUZZ_REQUIRE(list.entries == NULL && list.count == 0);
        return 0;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        FUZZ_REQUIRE(key_is_valid(list.entries[i].key, KEY_TEXT));
        FUZZ_REQUIRE(allow_list_find(&list, list.entries[i].key) == &list.entries[i]);
        FUZZ_REQUIRE(list.entries[i].role >= WIRE_WORKER && list.entries[i].role <= WIRE_ADMINISTRATOR);
        FUZZ_REQUIRE(list.entries[i].index < JOB_WORKERS_MAX);
    }
    allow_list_fini(&list);
    return 0;
}
