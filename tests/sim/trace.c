/* trace.c - see trace.h. */
#include "tests/sim/trace.h"

#include <stdarg.h>

void trace_line(const trace *t, uint64_t now_ms, const char *format, ...)
{
    if (!t->file)
        return;
    fprintf(t->file, "%8llu ms  ", (unsigned long long)now_ms);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(t->file, format, arguments);
    va_end(arguments);
    fputc('\n', t->file);
}
