/* lock_holder.h - which process of this host holds a file's lock? For messages: it may change at any time. */
#ifndef PENSTOCK_DEPLOY_LOCK_HOLDER_H
#define PENSTOCK_DEPLOY_LOCK_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* "process 4711 (penstock)": one that may write to some part of `path`, ourselves excepted. False if none is
 * known. The file is not opened: that would, once it is closed, drop locks of our own on it. */
bool lock_holder_name(const char *path, char *text, size_t bytes);

#endif
