/* event_file.h - writes a file of events for TensorBoard: TFRecords (common/tfrecord.h) of proto/event.proto.
 *
 * One process writes one file, events.out.tfevents.<time>.<host>.<process>, whose first record names the
 * format's version. TensorBoard reads the files of a folder in the order of their names; a new one is named
 * behind all that are there, so that a process started again goes on where the one before it ended.
 *
 * Events are gathered in memory, in room taken at the start, and written when that is full or
 * event_file_flush is called. What cannot be written (a full disk, an I/O error) is warned of once in the
 * log; the file is cut behind its last whole record, and nothing more is written: it is for onlookers, and
 * training goes on. Not fsynced. One thread at a time. */
#ifndef PENSTOCK_WORKER_EVENT_FILE_H
#define PENSTOCK_WORKER_EVENT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum {
    EVENT_SCALARS_MAX = 16,
    EVENT_TEXT_BYTES = 16 << 10, /* of a text; longer ones are cut */
};

typedef struct event_file event_file;

typedef struct {
    const char *tag;
    double value; /* written as float32, as TensorBoard has them */
} event_scalar;

/* Makes `folder` and a new file in it. PS_EIO names folder or file, and cause; PS_ELIMIT if the path is too
 * long; PS_ENOMEM. */
ps_status event_file_open(const char *folder, event_file **out, ps_error *error);

/* Of what the files in this folder hold so far, events of `step` and later steps are void: they will come
 * again. */
void event_file_void_from(event_file *f, uint64_t step);

/* One event with these values; count: 1 ... EVENT_SCALARS_MAX. */
void event_file_scalars(event_file *f, uint64_t step, const event_scalar *scalars, size_t count);

/* How these values are spread; nothing if none of them is finite. */
void event_file_histogram(event_file *f, uint64_t step, const char *tag, const float *values, size_t count);

/* For TensorBoard's tab of texts, which takes it for Markdown. `text`: UTF-8. */
void event_file_text(event_file *f, uint64_t step, const char *tag, const char *text);

void event_file_flush(event_file *f);

/* Flushes, closes and nulls; NULL is fine. */
void event_file_close(event_file **f);

#endif
