/* run_record.h - what is known of a run, and how it is written down: run.json in its folder, the same in the
 * registry.
 *
 *   {"schema": "penstock-run/1", "id": "20261129-034500-a1b2c3", "experiment": "default", "folder":
 * "/abs/runs/...", "host": "h", "launcher": {"pid": 4711, "started": 123456, "boot": "..."}, "versions":
 * {"penstock": "0.1.0", "system": "Linux 6.1.0 x86_64"}, "cluster": {"ps": 2, "workers": 3, "chief": false,
 * "evaluator": false}, "options": ["--data-folder", "mnist", ...], "ps_options": [...], "launcher_options":
 * {"restarts": 0, ...}, "data": {"folder": "/abs/mnist", "sha256": "...", "whole": true, "files": 4, "bytes":
 * 54950048} or null, "phase": "Running", "phases": [{"phase": "Preparing", "time": "2026-11-29T03:45:00Z",
 * "ms": 1795923900000}, ...], "metrics": {"step": 400, "loss": 0.3, ..., "accuracy": 0.95, ...}, "exit_code":
 * null, "reason": ""}
 *
 * Numbers that nobody has reported are null. Readers pass over keys they do not know. */
#ifndef PENSTOCK_DEPLOY_RUN_RECORD_H
#define PENSTOCK_DEPLOY_RUN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/path.h"
#include "common/status.h"
#include "deploy/launch/progress.h"
#include "deploy/launch/run_options.h"
#include "deploy/registry/data_digest.h"

enum {
    RUN_ID_BYTES = RUN_OPTIONS_ID_MAX,
    RUN_HOST_BYTES = 256,
    RUN_REASON_BYTES = 640,
    RUN_RECORD_MAX = 1 << 20, /* bytes of JSON that are read back */
};

#define RUN_RECORD_FILE  "run.json"
#define RUN_METRICS_FILE "metrics.jsonl"
#define RUN_EXPERIMENT   "default"

#define RUN_PHASES(X)               \
    X(RUN_PREPARING, "Preparing")   \
    X(RUN_RUNNING, "Running")       \
    X(RUN_FINALIZING, "Finalizing") \
    X(RUN_COMPLETED, "Completed")   \
    X(RUN_FAILED, "Failed")         \
    X(RUN_CANCELED, "Canceled")

typedef enum {
#define RUN_PHASE_ENUM(name, text) name,
    RUN_PHASES(RUN_PHASE_ENUM)
#undef RUN_PHASE_ENUM
        RUN_PHASE_COUNT
} run_phase;

const char *run_phase_name(run_phase phase);
/* Completed, Failed or Canceled? */
bool run_phase_is_over(run_phase phase);
/* PS_EFORMAT for no phase. */
ps_status run_phase_parse(const char *name, run_phase *phase, ps_error *error);

/* The process that keeps a record; by all three it is told apart from a later one with its number. */
typedef struct {
    int64_t pid;
    int64_t started; /* ticks after the host's start */
    char boot[64];
} run_process;

/* Of this process, or of any on this host: `started` is 0 if there is none with that number. */
void run_process_find(int64_t pid, run_process *process);

typedef struct {
    char id[RUN_ID_BYTES];
    char experiment[128];
    char folder[PATH_BYTES]; /* absolute */
    char host[RUN_HOST_BYTES];
    run_process launcher;
    const run_options *options; /* borrowed */
    data_digest data;           /* without folder: none is known */
    run_phase phase;
    int64_t phase_ms[RUN_PHASE_COUNT]; /* 0: never */
    bool stepped, evaluated, finished; /* which of these there are */
    progress_step step;
    progress_eval eval;
    progress_result result;
    bool ended; /* exit_code is there */
    int exit_code;
    char reason[RUN_REASON_BYTES]; /* of a failure */
} run_record;

/* A new id: the time, and six digits drawn at random. PS_EIO. */
ps_status run_id_make(int64_t now_ms, char id[RUN_ID_BYTES], ps_error *error);

/* In JSON; the caller frees. PS_ENOMEM. */
ps_status run_record_format(const run_record *record, char **text, size_t *bytes, ps_error *error);

/* A number in JSON, or null. */
void run_record_print_number(FILE *out, double number);

#endif
