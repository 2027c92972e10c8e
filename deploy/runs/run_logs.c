/* run_logs.c - see run_logs.h. */
#include "deploy/runs/run_logs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/path.h"
#include "common/plain_text.h"

enum { PIECE_BYTES = 16 << 10 /* read at a time; a longer line is printed in pieces */ };

typedef struct {
    char *name; /* "worker-0" */
    int fd;
    char kept[PIECE_BYTES]; /* of a line without its end */
    size_t used;
} one_log;

struct run_logs {
    const char *folder, *only;
    one_log *logs[RUN_LOGS_MAX];
    size_t count;
};

ps_status run_logs_open(const char *folder, const char *only, run_logs **logs, ps_error *error)
{
    *logs = calloc(1, sizeof **logs);
    if (!*logs)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    (*logs)->folder = folder;
    (*logs)->only = only;
    return PS_OK;
}

static bool is_known(const run_logs *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->logs[i]->name, name) == 0)
            return true;
    return false;
}

/* `file` is "worker-0.log". One that cannot be opened now may be the next time. */
static void take_in(run_logs *l, const char *file)
{
    char path[PATH_BYTES], name[NAME_MAX + 1];
    const size_t length = strlen(file), ending = strlen(".log");
    if (length <= ending || strcmp(file + length - ending, ".log") != 0 || l->count == RUN_LOGS_MAX)
        return;
    snprintf(name, sizeof name, "%.*s", (int)(length - ending), file);
    if (is_known(l, name) || (l->only && strcmp(l->only, name) != 0) ||
        path_make(path, NULL, "%s/logs/%s", l->folder, file) != PS_OK)
        return;
    one_log *added = calloc(1, sizeof *added);
    if (!added)
        return;
    added->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    added->name = strdup(name);
    if (added->fd >= 0 && added->name) {
        l->logs[l->count++] = added;
        return;
    }
    if (added->fd >= 0)
        close(added->fd);
    free(added->name);
    free(added);
}

static int compare_logs(const void *left, const void *right)
{
    return strcmp((*(one_log *const *)left)->name, (*(one_log *const *)right)->name);
}

static void look_for_more(run_logs *l)
{
    char path[PATH_BYTES];
    DIR *folder = path_make(path, NULL, "%s/logs", l->folder) == PS_OK ? opendir(path) : NULL;
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));)
        take_in(l, entry->d_name);
    closedir(folder);
    if (l->count > 0)
        qsort(l->logs, l->count, sizeof l->logs[0], compare_logs);
}

static void print_line(const char *name, char *line, size_t bytes)
{
    plain_text(line, bytes, "\t");
    printf("%-12s | ", name);
    fwrite(line, 1, bytes, stdout);
    putchar('\n');
}

/* Prints the lines that are whole, and keeps the rest. */
static void print_lines(one_log *log)
{
    size_t start = 0;
    for (char *end; (end = memchr(log->kept + start, '\n', log->used - start));) {
        const size_t at = (size_t)(end - log->kept);
        print_line(log->name, log->kept + start, at - start);
        start = at + 1;
    }
    if (start == 0 && log->used == sizeof log->kept) {
        print_line(log->name, log->kept, log->used);
        start = log->used;
    }
    log->used -= start;
    memmove(log->kept, log->kept + start, log->used);
}

static bool print_one(one_log *log, bool last)
{
    bool any = false;
    for (ssize_t got; (got = read(log->fd, log->kept + log->used, sizeof log->kept - log->used)) > 0;) {
        log->used += (size_t)got;
        print_lines(log);
        any = true;
    }
    if (last && log->used > 0) {
        print_line(log->name, log->kept, log->used);
        log->used = 0;
    }
    return any;
}

bool run_logs_print(run_logs *l, bool last)
{
    bool any = false;
    look_for_more(l);
    for (size_t i = 0; i < l->count; i++)
        any = print_one(l->logs[i], last) || any;
    fflush(stdout);
    return any;
}

size_t run_logs_count(const run_logs *l)
{
    return l->count;
}

void run_logs_close(run_logs **logs)
{
    if (!*logs)
        return;
    for (size_t i = 0; i < (*logs)->count; i++) {
        close((*logs)->logs[i]->fd);
        free((*logs)->logs[i]->name);
        free((*logs)->logs[i]);
    }
    free(*logs);
    *logs = NULL;
}
