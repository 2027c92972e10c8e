/* events.c - see events.h. The lock guards the records; nobody does anything slow under it but who prints,
 * whom a writer may then wait for: some events a minute for some microseconds. */
#include "common/events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

typedef struct {
    uint64_t sequence, unix_ms, step;
    const char *level;
    char event[EVENTS_NAME_MAX + 1];
    char text[EVENTS_TEXT_MAX + 1];
} record;

static atomic_bool wanted;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static record kept[EVENTS_MAX]; /* oldest first */
static uint32_t kept_count;
static uint64_t noted; /* so far */

void events_keep(void)
{
    atomic_store_explicit(&wanted, true, memory_order_relaxed);
}

bool events_wanted(void)
{
    return atomic_load_explicit(&wanted, memory_order_relaxed);
}

static bool is_called(const record *r, const char *event)
{
    return strncmp(r->event, event, EVENTS_NAME_MAX) == 0;
}

/* Drops the oldest if there is no room, or the oldest of that name if there are many. */
static void make_room(const char *event)
{
    uint32_t alike = 0, oldest = 0;
    for (uint32_t i = kept_count; i > 0; i--) {
        if (!is_called(&kept[i - 1], event))
            continue;
        alike++;
        oldest = i - 1;
    }
    const bool many = alike >= EVENTS_ALIKE_MAX;
    if (!many && kept_count < EVENTS_MAX)
        return;
    const uint32_t dropped = many ? oldest : 0;
    kept_count--;
    memmove(kept + dropped, kept + dropped + 1, (kept_count - dropped) * sizeof *kept);
}

void events_note(const char *level, const char *event, uint64_t step, const char *text)
{
    pthread_mutex_lock(&lock);
    make_room(event);
    record *r = &kept[kept_count++];
    *r = (record){.sequence = ++noted, .unix_ms = clock_unix_ms(), .step = step, .level = level};
    strncat(r->event, event, EVENTS_NAME_MAX);
    strncat(r->text, text, EVENTS_TEXT_MAX);
    pthread_mutex_unlock(&lock);
}

static void print_record(json_writer *w, const record *r)
{
    json_open(w, NULL, '{');
    json_put_count(w, "sequence", r->sequence);
    json_put_count(w, "unix_ms", r->unix_ms);
    json_put_text(w, "level", r->level);
    json_put_text(w, "event", r->event);
    if (r->step == LOG_NO_STEP)
        json_put_null(w, "step");
    else
        json_put_count(w, "step", r->step);
    json_put_text(w, "text", r->text);
    json_close(w, '}');
}

void events_print(json_writer *w)
{
    json_open(w, "events", '[');
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < kept_count; i++)
        print_record(w, &kept[i]);
    pthread_mutex_unlock(&lock);
    json_close(w, ']');
}
