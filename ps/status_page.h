/* status_page.h - /status of a ps: common/status_page.md, written. */
#ifndef PENSTOCK_PS_STATUS_PAGE_H
#define PENSTOCK_PS_STATUS_PAGE_H

#include <stdio.h>

#include "common/http_refusals.h"
#include "ps/archive_folder.h"
#include "ps/chronicle.h"

typedef struct {
    uint32_t index; /* of this ps */
    uint64_t incarnation, started_unix_ms, now_unix_ms;
    uint64_t now_ms, loop_age_ms;
    const char *http; /* where this ps shows itself */
    const metrics *counted;
    const shard_view *view;
    const chronicle *past;
    bool has_archive;
    archive_counters images;
    uint32_t unsent;
    const http_refusals *http_refused;
    bool is_over; /* the job has finished, perhaps before this process began */
} status_page;

void status_page_print(const status_page *p, FILE *out);

#endif
