/* cases.h - the groups of cases. Each measures its own and adds rows; a case that fails is noted, and the
 * others go on. */
#ifndef PENSTOCK_BENCH_CASES_H
#define PENSTOCK_BENCH_CASES_H

#include "tests/bench/results.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

typedef void cases_run(const bench_options *options, results *r);

cases_run cases_raw;       /* what memory, TCP and ZeroMQ can do */
cases_run cases_push;      /* gradients over TCP */
cases_run cases_pull;      /* weights over TCP */
cases_run cases_push_pull; /* both */
cases_run cases_curve;     /* all three, encrypted */
cases_run cases_request;   /* 256 bytes there and back */
cases_run cases_shared;    /* both, through shared memory */
cases_run cases_kernels;   /* updates, without a network */
cases_run cases_scaling;   /* workers and ps in numbers */
cases_run cases_plan;      /* steps of many shapes, for a model of their costs */
cases_run cases_mnist;     /* training; nothing without its folder */

#endif
