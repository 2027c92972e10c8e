/* wire_figures.c - figures.h to and from their protobuf form. */
#include <string.h>

#include "common/arena.h"
#include "common/figures.h"
#include "common/plain_text.h"
#include "proto/penstock.pb-c.h"

enum { UNPACKED_MAX = 16 << 10 }; /* bytes, of FIGURES_BYTES_MAX */

const char *worker_activity_name(worker_activity activity)
{
    switch (activity) {
#define ACTIVITY_CASE(activity, name) \
    case activity:                    \
        return name;
        ACTIVITY_LIST(ACTIVITY_CASE)
#undef ACTIVITY_CASE
    case ACTIVITY_COUNT:
        break;
    }
    return "?";
}

/* Numbers have the same names in both forms. */
#define NUMBERS(X)    \
    X(pid)            \
    X(step)           \
    X(last_step)      \
    X(epoch)          \
    X(epochs)         \
    X(examples_total) \
    X(steps)          \
    X(step_ns)        \
    X(compute_ns)     \
    X(push_ns)        \
    X(wait_ns)        \
    X(pull_ns)        \
    X(examples)       \
    X(correct)        \
    X(loss_sum)       \
    X(bytes_pushed)   \
    X(bytes_pulled)   \
    X(requests)       \
    X(resent)         \
    X(rollbacks)      \
    X(tests)          \
    X(test_step)      \
    X(test_accuracy)  \
    X(test_loss)      \
    X(server)

#define TEXTS(X)   \
    X(server_http) \
    X(device)      \
    X(host)        \
    X(http)

void figures_set_text(char to[FIGURES_TEXT_MAX + 1], const char *from)
{
    const size_t bytes = strnlen(from, FIGURES_TEXT_MAX);
    memcpy(to, from, bytes);
    to[bytes] = '\0';
    plain_text(to, bytes, "");
}

size_t figures_pack(const worker_figures *f, uint8_t bytes[FIGURES_BYTES_MAX])
{
    Penstock__Figures p;
    penstock__figures__init(&p);
    p.activity = (uint32_t)f->activity;
#define SET_NUMBER(name) p.name = f->name;
    NUMBERS(SET_NUMBER)
#undef SET_NUMBER
#define SET_TEXT(name) p.name = (char *)(uintptr_t)f->name;
    TEXTS(SET_TEXT)
#undef SET_TEXT
    if (penstock__figures__get_packed_size(&p) > FIGURES_BYTES_MAX)
        return 0;
    return penstock__figures__pack(&p, bytes);
}

bool figures_unpack(const uint8_t *bytes, size_t count, worker_figures *f)
{
    arena memory;
    arena_init(&memory, UNPACKED_MAX);
    memset(f, 0, sizeof *f);
    const Penstock__Figures *p = penstock__figures__unpack(&memory.allocator, count, bytes);
    if (p) {
        f->activity = p->activity < ACTIVITY_COUNT ? (worker_activity)p->activity : ACTIVITY_UNKNOWN;
#define GET_NUMBER(name) f->name = p->name;
        NUMBERS(GET_NUMBER)
#undef GET_NUMBER
#define GET_TEXT(name) figures_set_text(f->name, p->name);
        TEXTS(GET_TEXT)
#undef GET_TEXT
    }
    arena_fini(&memory);
    return p != NULL;
}
