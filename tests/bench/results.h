/* results.h - what was measured: rows of the table, constants and points for the cost model, failures.
 *
 * Rows are printed as they are added; table.c knows how, report.c and svg.c write the rest at the end. */
#ifndef PENSTOCK_BENCH_RESULTS_H
#define PENSTOCK_BENCH_RESULTS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "tests/bench/options.h"
#include "tests/bench/stage.h"

enum { RESULTS_ROWS_MAX = 256, RESULTS_POINTS_MAX = 64, RESULTS_NAME_MAX = 64 };

/* A figure that is not there is NAN; so is a wanted one where nothing is wanted. */
typedef struct {
    char name[RESULTS_NAME_MAX];
    uint64_t bytes; /* of one message or array; 0: not of that kind */
    const char *unit;
    double penstock, floor, ratio;
    double wanted;
    bool at_most;                              /* the ratio should be at most `wanted`; else at least */
    double cpu_penstock, cpu_floor, cpu_ratio; /* processor seconds per GB, or per operation without bytes */
    double cpu_wanted;                         /* at most */
    double resident_bytes, stored_bytes;       /* of a ps at the end, and what its state should take */
} result_row;

/* What a model of the costs of a step is made of; see README.md for the definitions. */
#define CONSTANT_LIST(X)     \
    X(request_s)             \
    X(request_cpu_s)         \
    X(message_cpu_s)         \
    X(socket_bytes_per_s)    \
    X(socket_cpu_s_per_byte) \
    X(update_bytes_per_s)    \
    X(reduce_s_per_byte)     \
    X(judge_s_per_byte)      \
    X(copy_bytes_per_s)      \
    X(shared_cpu_s_per_byte)

typedef struct {
#define CONSTANT_FIELD(name) double name;
    CONSTANT_LIST(CONSTANT_FIELD)
#undef CONSTANT_FIELD
} result_constants; /* NAN: the group that measures it was not chosen */

typedef struct {
    bool shared; /* memory, else TCP */
    uint32_t servers, workers;
    uint64_t model_bytes;
    uint32_t slice_bytes;
    double compute_s; /* processor time of a worker per step, beside communication */
    double step_s;
} result_point;

typedef struct {
    result_row rows[RESULTS_ROWS_MAX];
    uint32_t row_count;
    result_constants constants;
    result_point points[RESULTS_POINTS_MAX];
    uint32_t point_count;
    uint32_t scaling_count; /* the first so many points are those of the group scaling */
    uint32_t failures;
} results;

void results_init(results *r);

/* A row without figures. `name` is cut at RESULTS_NAME_MAX. */
result_row row_make(const char *name, uint64_t bytes, const char *unit);

/* Rates of a comparison, in units per operation: fills figures, ratio and processor time. */
void row_take_rates(result_row *row, const comparison *c, double units, bool has_penstock, bool has_floor);

/* Is everything that is wanted of this row so? True too if nothing is. */
bool row_is_met(const result_row *row);

void results_add(results *r, const result_row *row);
void results_add_point(results *r, const result_point *point);

/* Notes and prints that a case could not be measured. */
void results_fail(results *r, const char *name, const ps_error *error);

/* ---- output ---- */

void table_print_title(const bench_options *options);
void table_print_group(const char *name);
void table_print_row(const result_row *row);
void table_print_summary(const results *r);

/* Name of the processor, "unknown" if the system does not tell. */
void host_processor(char *name, size_t bytes);
uint32_t host_cores(void);

/* As JSON, schema "penstock-bench/1" (README.md). PS_EIO, PS_ENOMEM. */
ps_status report_write(const results *r, const char *path, ps_error *error);

/* goodput.svg and scaling.svg in `folder`, as far as their rows are there. PS_EIO. */
ps_status svg_write(const results *r, const char *folder, ps_error *error);

#endif
