/* idx_file.c - see idx_file.h. */
#include "worker/idx_file.h"

#include <stdlib.h>

#include "common/file.h"

void idx_file_close(idx_file *file)
{
    file_unmap(file->map, file->map_bytes);
    free(file->inflated);
    *file = (idx_file){0};
}

ps_status idx_file_open(idx_file *file, const char *path, bool gzipped, ps_error *error)
{
    *file = (idx_file){0};
    ps_status status = file_map(path, &file->map, &file->map_bytes, error);
    if (status != PS_OK)
        return status;
    const void *bytes = file->map;
    size_t size = file->map_bytes;
    ps_error cause;
    if (gzipped) {
        status = idx_inflate(file->map, file->map_bytes, &file->inflated, &size, &cause);
        bytes = file->inflated;
        file_unmap(file->map, file->map_bytes);
        file->map = NULL;
    }
    if (status == PS_OK)
        status = idx_parse(bytes, size, &file->view, &cause);
    if (status != PS_OK) {
        ps_fail(error, status, "%s: %s", path, cause.text);
        idx_file_close(file);
    }
    return status;
}
