/* file_tree.h - all files below a folder: listed by name, or removed. Links are not followed. */
#ifndef PENSTOCK_DEPLOY_FILE_TREE_H
#define PENSTOCK_DEPLOY_FILE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum {
    FILE_TREE_FILES_MAX = 10000,
    FILE_TREE_PATH_MAX = 1024, /* bytes of a path below the root, with its terminator */
};

typedef struct {
    char *path; /* below the root: "variables/part-0" */
    uint64_t bytes;
} file_tree_file;

typedef struct {
    file_tree_file *files; /* sorted by path, byte for byte */
    size_t count;
} file_tree;

/* Lists the regular files below `root`; if that is a file, that one by its name. `root` itself may be a link.
 * Anything else but folders is refused by name (PS_EINVAL), as is a path that is not UTF-8 or holds control
 * characters. PS_ENOENT, PS_EIO, PS_ELIMIT, PS_ENOMEM. On failure `tree` is empty. */
ps_status file_tree_read(const char *root, file_tree *tree, ps_error *error);

/* Leaves `tree` empty. */
void file_tree_free(file_tree *tree);

/* May a path that comes from elsewhere be written to below a folder? "a/b" may; "/a", "../a", "a//b" and
 * "a/." may not, nor what file_tree_read would refuse. */
bool file_tree_path_is_safe(const char *path);

/* UTF-8 without control characters? */
bool file_tree_is_printable(const char *text);

/* Removes a folder and all that is in it; that it is not there is fine. PS_EIO, PS_ENOMEM. */
ps_status file_tree_remove(const char *root, ps_error *error);

#endif
