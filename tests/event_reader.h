/* event_reader.h - reads event files back as TensorBoard does: record by record, both sums checked, parsed by
 * the schema. */
#ifndef PENSTOCK_TESTS_EVENT_READER_H
#define PENSTOCK_TESTS_EVENT_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/tfrecord.h"
#include "proto/event.pb-c.h"

typedef struct {
    const uint8_t *bytes;
    size_t size, at;
} event_reader;

/* The next record, to be freed by board__event__free_unpacked; NULL at the end, where `at` is the size, and
 * before what is no record. */
static inline Board__Event *event_reader_next(event_reader *r)
{
    uint8_t head[TFRECORD_HEAD_BYTES], foot[TFRECORD_FOOT_BYTES];
    uint64_t bytes = 0;
    const size_t left = r->size - r->at;
    if (left < TFRECORD_HEAD_BYTES + TFRECORD_FOOT_BYTES)
        return NULL;
    for (int i = 7; i >= 0; i--)
        bytes = bytes << 8 | r->bytes[r->at + (size_t)i];
    if (bytes > left - TFRECORD_HEAD_BYTES - TFRECORD_FOOT_BYTES)
        return NULL;
    const uint8_t *data = r->bytes + r->at + TFRECORD_HEAD_BYTES;
    tfrecord_frame(data, bytes, head, foot);
    if (memcmp(head, r->bytes + r->at, sizeof head) != 0 || memcmp(foot, data + bytes, sizeof foot) != 0)
        return NULL;
    Board__Event *event = board__event__unpack(NULL, bytes, data);
    r->at += event ? TFRECORD_HEAD_BYTES + bytes + TFRECORD_FOOT_BYTES : 0;
    return event;
}

#endif
