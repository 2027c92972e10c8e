/* torture.h - fails chosen allocations of the code under test, each in turn.
 * Also counts them: torture_begin(LONG_MAX) lets all succeed.
 *
 * Link with penstock_torture_allocations() in tests/CMakeLists.txt, which routes malloc, calloc and
 * realloc of the test and of our static libraries through here; shared libraries keep theirs. */
#ifndef PENSTOCK_TESTS_TORTURE_H
#define PENSTOCK_TESTS_TORTURE_H

/* The next `allocations` succeed and all after them fail; blocks that were kept for use (common/recycler.h)
 * do not help over that. */
void torture_begin(long allocations);

/* All succeed again. */
void torture_end(void);

/* Allocations asked for between the last torture_begin and torture_end, or now. */
long torture_count(void);

#endif
