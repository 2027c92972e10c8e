/* cut_files.h - the files of two cuts, of steps 100 and 200 in the folder "cuts": taken away, changed and put
 * back, and which cut is then found. */
#ifndef PENSTOCK_TESTS_CUT_FILES_H
#define PENSTOCK_TESTS_CUT_FILES_H

#include <stdbool.h>
#include <string.h>

#include "common/file.h"
#include "tests/unit/cut_sample.h"
#include "tests/unit/folder.h"

#define CUT_100 "cuts/step-000000000100"
#define CUT_200 "cuts/step-000000000200"

typedef struct {
    char *bytes;
    size_t size;
} cut_file;

static inline cut_file cut_file_get(const char *path)
{
    cut_file c;
    ps_error error;
    if (file_read(path, 1 << 24, &c.bytes, &c.size, &error) != PS_OK)
        fail_msg("%s", error.text);
    return c;
}

static inline void cut_file_put_back(const char *path, cut_file *c)
{
    folder_put(path, c->bytes, c->size);
    free(c->bytes);
}

static inline void cut_file_copy(const char *from, const char *to)
{
    cut_file c = cut_file_get(from);
    cut_file_put_back(to, &c);
}

static inline bool cut_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static char cut_file_passed[512];

static inline void cut_file_note_passed(uint64_t step, const char *why)
{
    snprintf(cut_file_passed, sizeof cut_file_passed, "%llu: %s", (unsigned long long)step, why);
}

/* Does the cut of step 200 lose against that of 100, and does the reason hold this? */
static inline void cut_file_expect_passed_over(const cut_sample *c, const char *reason)
{
    uint64_t step;
    ps_error error;
    cut_file_passed[0] = '\0';
    assert_int_equal(checkpoint_newest("cuts", &c->job, UINT64_MAX, &step, cut_file_note_passed, &error),
                     PS_OK);
    assert_int_equal(step, 100);
    if (strncmp(cut_file_passed, "200: ", 5) != 0 || !strstr(cut_file_passed, reason))
        fail_msg("'%s' does not say '%s'", cut_file_passed, reason);
    assert_int_equal(cut_sample_load(c, 0, 200, NULL, &error), PS_ENOENT);
    assert_true(error.text[0] != '\0');
}

static inline void cut_file_open_two(cut_sample *c)
{
    cut_sample_open(c, 2, 2, 4096);
    cut_sample_write(c, 100);
    cut_sample_write(c, 200);
}

#endif
