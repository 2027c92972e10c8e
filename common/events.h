/* events.h - what has happened in this process lately: the last events of its log (log_event), kept for those
 * who look at it over HTTP. Thread-safe. */
#ifndef PENSTOCK_COMMON_EVENTS_H
#define PENSTOCK_COMMON_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/json_write.h"

enum {
    EVENTS_MAX = 256,
    EVENTS_ALIKE_MAX = 64, /* of one kind: checkpoints shall not drive out what is rare */
    EVENTS_TEXT_MAX = 255,
    EVENTS_NAME_MAX = 31,
};

/* From now on they are kept; before, nothing is, and events_wanted costs a look at a flag. */
void events_keep(void);
bool events_wanted(void);

/* `level`, `event` and `text` as the log has them; what is longer than the limits is cut. `level` is borrowed
 * for good. `step` may be LOG_NO_STEP. */
void events_note(const char *level, const char *event, uint64_t step, const char *text);

/* All that are kept, oldest first, as the list "events" of common/status_page.md. */
void events_print(json_writer *w);

#endif
