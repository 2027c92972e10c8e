/* ui_runs.h - the runs in a folder, as JSON for the pages of `penstock ui`.
 *
 *   {"schema": 1, "folder": "/abs/runs", "runs": [
 *     {"name": "20261129-041500", "modified_unix_ms": 1795923801831, "http": "127.0.0.1:40123",
 *      "record": {"options": ["--epochs", "20"], ...}}, ...]}
 *
 * the newest first: when ps 0 last kept what it saw, where it shows itself if it is still there, what is in
 * the run's run.json; null what there is not. And of one run
 *
 *   {"schema": 1, "name": "20261129-041500", "pages": [...], "others": [...]}
 *
 * the pages (common/status_page.md) of ps 0, one of each of its processes, the oldest first; and the last one
 * of each other ps. What is no JSON is passed over. */
#ifndef PENSTOCK_DEPLOY_UI_RUNS_H
#define PENSTOCK_DEPLOY_UI_RUNS_H

#include <stdbool.h>
#include <stdio.h>

#include "common/path.h"
#include "common/status.h"

enum {
    UI_RUNS_MAX = 200,           /* the newest */
    UI_NAME_MAX = 128,           /* bytes of a name; longer ones are passed over */
    UI_PROCESSES_MAX = 16,       /* of ps 0, the newest */
    UI_OTHERS_MAX = 64,          /* other ps */
    UI_PAGE_BYTES_MAX = 1 << 20, /* larger ones are passed over, */
    UI_BODY_BYTES = 14 << 20,    /* and all beyond that, all together */
};

typedef struct {
    char folder[PATH_BYTES]; /* absolute; of the runs */
    char only[UI_NAME_MAX];  /* the only run of interest; "": all */
} ui_runs;

/* `folder` is a run's, or one of runs. PS_ECONFIG: it is neither. */
ps_status ui_runs_open(ui_runs *runs, const char *folder, ps_error *error);

void ui_runs_list(const ui_runs *runs, FILE *out);

/* False, and nothing is written, if there is no such run. `name` may be anything. */
bool ui_runs_show(const ui_runs *runs, const char *name, FILE *out);

#endif
