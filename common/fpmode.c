/* fpmode.c - see fpmode.h. */
#include "common/fpmode.h"

#include <stdint.h>

#if defined(__SSE2__)
#include <immintrin.h>

enum { MXCSR_FLUSH_TO_ZERO = 0x8000, MXCSR_DENORMALS_ARE_ZERO = 0x0040 };

void fpmode_flush_denormals(void)
{
    _mm_setcsr(_mm_getcsr() | MXCSR_FLUSH_TO_ZERO | MXCSR_DENORMALS_ARE_ZERO);
}

#elif defined(__aarch64__)

void fpmode_flush_denormals(void)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr |= UINT64_C(1) << 24; /* FZ */
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}

#else
#error "no way known to flush denormals on this processor"
#endif
