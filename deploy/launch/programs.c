/* programs.c - see programs.h. */
#include "deploy/launch/programs.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* Forms folder/middle/name; false if that is too long or no program. */
static bool try(const char *folder, size_t folder_length, const char *middle, const char *name, char *path,
                size_t bytes)
{
    int length = snprintf(path, bytes, "%.*s%s/%s", (int)folder_length, folder, middle, name);
    return length > 0 && (size_t)length < bytes && is_program(path);
}

static bool find_in_path(const char *name, char *path, size_t bytes)
{
    const char *rest = getenv("PATH");
    while (rest && *rest) {
        size_t length = strcspn(rest, ":");
        if (length > 0 && try(rest, length, "", name, path, bytes))
            return true;
        rest += length + (rest[length] == ':');
    }
    return false;
}

ps_status program_find(const char *name, const char *build_folder, const char *bin_dir, char *path,
                       size_t bytes, ps_error *error)
{
    if (bin_dir) {
        if (try(bin_dir, strlen(bin_dir), "", name, path, bytes))
            return PS_OK;
        return ps_fail(error, PS_ECONFIG, "no program %s in the folder %s given by --bin-dir", name, bin_dir);
    }
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self);
    size_t folder = 0;
    for (ssize_t i = 0; i < length; i++)
        if (self[i] == '/')
            folder = (size_t)i;
    char sibling[NAME_MAX];
    snprintf(sibling, sizeof sibling, "/../%s", build_folder);
    if (folder > 0 &&
        (try(self, folder, "", name, path, bytes) || try(self, folder, sibling, name, path, bytes)))
        return PS_OK;
    if (find_in_path(name, path, bytes))
        return PS_OK;
    return ps_fail(error, PS_ECONFIG,
                   "%s is neither in %.*s nor in PATH; build it, or say where it is with --bin-dir", name,
                   (int)folder, self);
}

int program_become(const char *name, const char *build_folder, const char *built_with, char **argv)
{
    char path[PATH_MAX];
    if (program_find(name, build_folder, NULL, path, sizeof path, NULL) != PS_OK) {
        fprintf(stderr, "%s: there is no %s beside this program, in its build tree or in PATH%s%s\n", argv[0],
                name, built_with ? "; it is built and installed with " : "", built_with ? built_with : "");
        return PS_EXIT_USAGE;
    }
    execv(path, argv);
    fprintf(stderr, "%s: cannot start %s: %s\n", argv[0], path, strerror(errno));
    return PS_EXIT_FAILURE;
}
