/* quantity.h - sizes and rates in command-line options: "400M", "1Mi", "2.5G". For use in argp parsers.
 *
 * A decimal number without sign or exponent, and at most one unit directly behind it: K, M, G, T are powers
 * of 1000, Ki, Mi, Gi, Ti powers of 1024. Nothing else may follow, so that no one has to guess whether a B
 * means bits or bytes. */
#ifndef PENSTOCK_DEPLOY_QUANTITY_H
#define PENSTOCK_DEPLOY_QUANTITY_H

#include "common/status.h"

/* A number of bytes. PS_EINVAL: "--name: 'text' is not a number of bytes from a to b; ..." */
ps_status quantity_bytes(const char *name, const char *text, double least, double most, double *bytes,
                         ps_error *error);

/* A network's rate, written in bit/s: 100G is 100 Gbit/s. PS_EINVAL likewise. */
ps_status quantity_rate(const char *name, const char *text, double least_bits, double most_bits,
                        double *bytes_per_s, ps_error *error);

#endif
