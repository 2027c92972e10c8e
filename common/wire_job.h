/* wire_job.h - a job description to and from its protobuf form. Private to the wire. */
#ifndef PENSTOCK_COMMON_WIRE_JOB_H
#define PENSTOCK_COMMON_WIRE_JOB_H

#include "common/job.h"
#include "proto/penstock.pb-c.h"

/* Builds the protobuf form. Its strings and arrays borrow from `job`; free with wire_job_free. NULL if
 * out of memory. */
Penstock__Job *wire_job_to_proto(const job_config *job);
void wire_job_free(Penstock__Job **proto);

/* A checked copy. PS_EPROTOCOL for missing parts, else as job_check. On failure `job` is empty. */
ps_status wire_job_from_proto(const Penstock__Job *proto, job_config *job, ps_error *error);

#endif
