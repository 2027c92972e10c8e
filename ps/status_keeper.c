/* status_keeper.c - see status_keeper.h. */
#include "ps/status_keeper.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "common/file.h"
#include "common/log.h"
#include "common/path.h"
#include "common/thread.h"

struct status_keeper {
    char path[PATH_BYTES];
    void (*print)(void *context, FILE *out);
    void *context;
    bool has_failed; /* the thread's */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock;
    pthread_cond_t told;
    bool ending;
};

static void keep(status_keeper *k)
{
    struct iovec text = {0};
    char *body = NULL;
    ps_error error;
    FILE *out = open_memstream(&body, &text.iov_len);
    ps_status status = out ? PS_OK : ps_fail(&error, PS_ENOMEM, "out of memory for %s", k->path);
    if (out) {
        k->print(k->context, out);
        status = fclose(out) == 0 ? PS_OK : ps_fail(&error, PS_ENOMEM, "out of memory for %s", k->path);
    }
    text.iov_base = body;
    if (status == PS_OK)
        status = file_write_atomic(k->path, &text, 1, &error);
    if (status != PS_OK && !k->has_failed)
        log_warning("the course of training is not kept: %s", error.text);
    k->has_failed |= status != PS_OK;
    free(body);
}

static void *run(void *context)
{
    status_keeper *k = context;
    bool ending = false;
    while (!ending) {
        const struct timespec deadline = thread_deadline(STATUS_KEEPER_MS);
        pthread_mutex_lock(&k->lock);
        int result = 0;
        while (!k->ending && result == 0)
            result = pthread_cond_timedwait(&k->told, &k->lock, &deadline);
        ending = k->ending;
        pthread_mutex_unlock(&k->lock);
        keep(k);
    }
    return NULL;
}

ps_status status_keeper_start(const char *folder, uint32_t index, uint64_t incarnation,
                              void (*print)(void *context, FILE *out), void *context, status_keeper **out,
                              ps_error *error)
{
    status_keeper *k = calloc(1, sizeof *k);
    *out = k;
    if (!k)
        return ps_fail(error, PS_ENOMEM, "out of memory for --status-dir");
    k->print = print;
    k->context = context;
    pthread_mutex_init(&k->lock, NULL);
    thread_condition_init(&k->told);
    ps_status status = file_make_folder(folder, error);
    if (status == PS_OK)
        status =
            path_make(k->path, error, "%s/ps-%" PRIu32 "-%012" PRIu64 ".json", folder, index, incarnation);
    if (status == PS_OK && thread_start(&k->thread, run, k) != 0)
        status = ps_fail(error, PS_ENOMEM, "no thread for --status-dir");
    k->has_thread = status == PS_OK;
    if (status != PS_OK)
        status_keeper_stop(out);
    return status;
}

void status_keeper_stop(status_keeper **keeper)
{
    status_keeper *k = *keeper;
    *keeper = NULL;
    if (!k)
        return;
    pthread_mutex_lock(&k->lock);
    k->ending = true;
    pthread_cond_signal(&k->told);
    pthread_mutex_unlock(&k->lock);
    if (k->has_thread)
        pthread_join(k->thread, NULL);
    pthread_cond_destroy(&k->told);
    pthread_mutex_destroy(&k->lock);
    free(k);
}
