/* folder.h - an empty folder of its own as working directory for each test that writes files. */
#ifndef PENSTOCK_TESTS_FOLDER_H
#define PENSTOCK_TESTS_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char folder[] = "/tmp/penstock-test-XXXXXX";

static inline int folder_enter(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/penstock-test-XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static inline int folder_leave(void **state)
{
    (void)state;
    char command[2 * sizeof folder];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return chdir("/") == 0 ? system(command) : -1;
}

static inline void folder_put(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Files in a folder, those whose name begins with a dot not counted. */
static inline int folder_count(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, folder_enter, folder_leave)

#endif
