/* process_page.h - what /status of both daemons has in common (common/status_page.md). */
#ifndef PENSTOCK_COMMON_PROCESS_PAGE_H
#define PENSTOCK_COMMON_PROCESS_PAGE_H

#include "common/figures.h"
#include "common/json_write.h"

enum { STATUS_SCHEMA = 1 };

typedef struct {
    const char *kind, *role; /* "ps", "worker"; "ps", "chief", "worker", "evaluator" */
    uint32_t index;
    uint64_t incarnation; /* 0: not known yet */
    uint64_t now_unix_ms, started_unix_ms, loop_age_ms;
    bool ready;
} process_page;

/* The first fields, from "schema" to "ready". */
void page_put_process(json_writer *w, const process_page *p);

/* "test". */
void page_put_test(json_writer *w, bool tested, uint64_t step, double accuracy, double loss);

/* What a worker tells of itself that is no mean over steps: from "activity" to "http". NULL: all is null. */
void page_put_figures(json_writer *w, const worker_figures *f);

/* The name of this host. */
void page_host(char *text, size_t bytes);

#endif
