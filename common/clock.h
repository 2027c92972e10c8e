/* clock.h - the two clocks: one for intervals, one for the calendar. Thread-safe. */
#ifndef PENSTOCK_COMMON_CLOCK_H
#define PENSTOCK_COMMON_CLOCK_H

#include <stdint.h>

/* Since some fixed point; never goes back, stands still while the host sleeps. */
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_ns(void);
double clock_monotonic_seconds(void);

/* Of the calendar: since 1970. */
uint64_t clock_unix_ms(void);

/* A number that rises with every start of a process under the same name, as far as the calendar does:
 * nanoseconds since 1970. */
uint64_t clock_incarnation(void);

#endif
