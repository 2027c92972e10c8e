/* event_file.c - see event_file.h. */
#include "worker/event_file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/tfrecord.h"
#include "proto/event.pb-c.h"
#include "worker/histogram.h"

enum {
    BUFFER_BYTES =
        256 << 10, /* holds the largest event, a histogram with all its buckets, and many of the others */
    PATH_BYTES = 4096,
    HOST_BYTES = 65,
    CLOCK_AHEAD_S = 24 * 3600, /* names from a later time than that are taken for strangers' */
    NAMES_TRIED = 1000,
};

#define NAME_START "events.out.tfevents."

struct event_file {
    int fd;
    bool failed;
    off_t whole; /* bytes of whole records in the file */
    size_t used;
    char path[PATH_BYTES];
    histogram histogram;
    double limits[HISTOGRAM_LISTED_MAX], counts[HISTOGRAM_LISTED_MAX];
    uint8_t buffer[BUFFER_BYTES];
};

/* ---- writing ---- */

static void give_up(event_file *f, int cause)
{
    f->failed = true;
    /* A torn record would be taken for one that is still being written. */
    const bool cut = ftruncate(f->fd, f->whole) == 0;
    log_event(
        LOG_WARNING, "event_file_failed", LOG_NO_STEP,
        "cannot write to the event file %s: %s; TensorBoard gets no more of this process%s, training goes on",
        f->path, strerror(cause), cut ? "" : ", and the file ends in a part of a record");
}

void event_file_flush(event_file *f)
{
    size_t done = 0;
    while (done < f->used && !f->failed) {
        ssize_t put = write(f->fd, f->buffer + done, f->used - done);
        if (put >= 0)
            done += (size_t)put;
        else if (errno != EINTR)
            give_up(f, errno);
    }
    f->whole += (off_t)done;
    f->used = 0;
}

static void add(event_file *f, Board__Event *event)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    event->wall_time = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    const size_t bytes = board__event__get_packed_size(event);
    const size_t record = TFRECORD_HEAD_BYTES + bytes + TFRECORD_FOOT_BYTES;
    assert(record <= BUFFER_BYTES);
    if (f->failed)
        return;
    if (f->used + record > BUFFER_BYTES)
        event_file_flush(f);
    uint8_t *at = f->buffer + f->used;
    uint8_t *data = at + TFRECORD_HEAD_BYTES;
    board__event__pack(event, data);
    tfrecord_frame(data, bytes, at, data + bytes);
    f->used += record;
}

static void add_values(event_file *f, uint64_t step, Board__Value **values, size_t count)
{
    Board__Summary summary = BOARD__SUMMARY__INIT;
    Board__Event event = BOARD__EVENT__INIT;
    summary.value = values;
    summary.n_value = count;
    event.step = (int64_t)step;
    event.what_case = BOARD__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    add(f, &event);
}

/* The generated structures point to what they only read as to something to write to. */
static char *borrowed(const char *text)
{
    return (char *)(uintptr_t)text;
}

void event_file_void_from(event_file *f, uint64_t step)
{
    Board__SessionLog start = BOARD__SESSION_LOG__INIT;
    Board__Event event = BOARD__EVENT__INIT;
    start.status = BOARD__SESSION_LOG__SESSION_STATUS__START;
    event.step = (int64_t)step;
    event.what_case = BOARD__EVENT__WHAT_SESSION_LOG;
    event.session_log = &start;
    add(f, &event);
}

void event_file_scalars(event_file *f, uint64_t step, const event_scalar *scalars, size_t count)
{
    Board__Value values[EVENT_SCALARS_MAX];
    Board__Value *list[EVENT_SCALARS_MAX];
    assert(count <= EVENT_SCALARS_MAX);
    for (size_t i = 0; i < count; i++) {
        board__value__init(&values[i]);
        values[i].tag = borrowed(scalars[i].tag);
        values[i].value_case = BOARD__VALUE__VALUE_SIMPLE_VALUE;
        values[i].simple_value = (float)scalars[i].value;
        list[i] = &values[i];
    }
    add_values(f, step, list, count);
}

void event_file_histogram(event_file *f, uint64_t step, const char *tag, const float *values, size_t count)
{
    histogram_take(&f->histogram, values, count);
    if (f->histogram.count == 0)
        return;
    Board__Histogram histo = BOARD__HISTOGRAM__INIT;
    histo.min = f->histogram.min;
    histo.max = f->histogram.max;
    histo.num = (double)f->histogram.count;
    histo.sum = f->histogram.sum;
    histo.sum_squares = f->histogram.sum_squares;
    histo.n_bucket_limit = histo.n_bucket = histogram_list(&f->histogram, f->limits, f->counts);
    histo.bucket_limit = f->limits;
    histo.bucket = f->counts;
    Board__Value value;
    Board__Value *list[] = {&value};
    board__value__init(&value);
    value.tag = borrowed(tag);
    value.value_case = BOARD__VALUE__VALUE_HISTO;
    value.histo = &histo;
    add_values(f, step, list, 1);
}

void event_file_text(event_file *f, uint64_t step, const char *tag, const char *text)
{
    ProtobufCBinaryData string = {.len = strnlen(text, EVENT_TEXT_BYTES), .data = (uint8_t *)borrowed(text)};
    Board__Dimension one = BOARD__DIMENSION__INIT;
    Board__Dimension *dimensions[] = {&one};
    Board__TensorShape shape = BOARD__TENSOR_SHAPE__INIT;
    one.size = 1;
    shape.dim = dimensions;
    shape.n_dim = 1;
    Board__Tensor tensor = BOARD__TENSOR__INIT;
    tensor.dtype = BOARD__DATA_TYPE__DT_STRING;
    tensor.tensor_shape = &shape;
    tensor.string_val = &string;
    tensor.n_string_val = 1;
    Board__PluginData plugin;
    Board__SummaryMetadata metadata = BOARD__SUMMARY_METADATA__INIT;
    board__plugin_data__init(&plugin);
    plugin.plugin_name = borrowed("text");
    metadata.plugin_data = &plugin;
    Board__Value value;
    Board__Value *list[] = {&value};
    board__value__init(&value);
    value.tag = borrowed(tag);
    value.metadata = &metadata;
    value.value_case = BOARD__VALUE__VALUE_TENSOR;
    value.tensor = &tensor;
    add_values(f, step, list, 1);
}

/* ---- opening and closing ---- */

/* A time, in seconds since 1970, for the name of a file behind all others of the folder: now, or a little
 * later if there are some of this second, or of a clock that goes ahead. */
static uint64_t time_behind_all(const char *folder)
{
    const uint64_t now = (uint64_t)time(NULL);
    uint64_t latest = now - 1;
    DIR *dir = opendir(folder);
    if (!dir)
        return now;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        uint64_t named;
        if (strncmp(entry->d_name, NAME_START, strlen(NAME_START)) == 0 &&
            sscanf(entry->d_name + strlen(NAME_START), "%12" SCNu64 ".", &named) == 1 && named > latest &&
            named < now + CLOCK_AHEAD_S)
            latest = named;
    }
    closedir(dir);
    return latest + 1;
}

static void name_host(char host[HOST_BYTES])
{
    if (gethostname(host, HOST_BYTES - 1) != 0 || host[0] == '\0')
        snprintf(host, HOST_BYTES, "host");
    host[HOST_BYTES - 1] = '\0';
    for (char *c = host; *c; c++)
        if (*c == '/' || (unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            *c = '_';
}

static ps_status create_file(event_file *f, const char *folder, ps_error *error)
{
    char host[HOST_BYTES];
    name_host(host);
    for (int tried = 0; tried < NAMES_TRIED; tried++) {
        int length = snprintf(f->path, sizeof f->path, "%s/" NAME_START "%010" PRIu64 ".%s.%ld", folder,
                              time_behind_all(folder), host, (long)getpid());
        if (length < 0 || (size_t)length >= sizeof f->path)
            return ps_fail(error, PS_ELIMIT, "--logdir: the path has %d bytes and is too long", length);
        f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (f->fd >= 0)
            return PS_OK;
        if (errno != EEXIST)
            break;
    }
    return ps_fail(error, PS_EIO, "cannot create the event file %s: %s", f->path, strerror(errno));
}

ps_status event_file_open(const char *folder, event_file **out, ps_error *error)
{
    *out = NULL;
    ps_status status = file_make_folder(folder, error);
    if (status != PS_OK)
        return status;
    event_file *f = calloc(1, sizeof *f);
    if (!f)
        return ps_fail(error, PS_ENOMEM, "out of memory for an event file");
    status = create_file(f, folder, error);
    if (status != PS_OK) {
        free(f);
        return status;
    }
    Board__Event first = BOARD__EVENT__INIT;
    first.what_case = BOARD__EVENT__WHAT_FILE_VERSION;
    first.file_version = borrowed("brain.Event:2");
    add(f, &first);
    *out = f;
    return PS_OK;
}

void event_file_close(event_file **f)
{
    if (!*f)
        return;
    event_file_flush(*f);
    close((*f)->fd);
    free(*f);
    *f = NULL;
}
