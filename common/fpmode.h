/* fpmode.h - one floating-point mode for every thread that does arithmetic.
 *
 * Denormals are flushed to zero, on input and output: gradients that fade out would otherwise make an
 * update several times slower. All threads of both daemons set it, or the bits would not agree. */
#ifndef PENSTOCK_COMMON_FPMODE_H
#define PENSTOCK_COMMON_FPMODE_H

/* Of the calling thread; threads created afterwards inherit it on Linux. */
void fpmode_flush_denormals(void);

#endif
