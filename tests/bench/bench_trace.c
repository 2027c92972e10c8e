/* bench_trace.c - what does it take to record a span, and what the branch where nothing is traced?
 *
 * One thread records in a loop with pauses, so that what is measured is the recording and not a full ring;
 * each turn measures the loop without a trace, the clock alone, and with a trace. Medians, in ns of processor
 * time of the thread, and what the thread that writes the file takes besides.
 *
 * Usage: bench_trace [FOLDER]     (/tmp) for some 60 MB, removed */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/trace.h"

enum { TURNS = 100, SPANS = 8000, PAUSE_US = 120000 };

static double cpu_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double median(double *values)
{
    qsort(values, TURNS, sizeof *values, by_size);
    return values[TURNS / 2];
}

/* Per span. */
static double record(void)
{
    const double begun = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < SPANS; i++) {
        const uint64_t begun_ns = trace_begin();
        trace_span(TRACE_STEP, begun_ns, (trace_about){.step = i});
    }
    return (cpu_ns(CLOCK_THREAD_CPUTIME_ID) - begun) / SPANS;
}

static double read_clocks(void)
{
    volatile uint64_t seen = 0;
    const double begun = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < SPANS; i++)
        seen = clock_monotonic_ns() - clock_monotonic_ns();
    (void)seen;
    return (cpu_ns(CLOCK_THREAD_CPUTIME_ID) - begun) / SPANS;
}

static void remove_all(const char *folder)
{
    char path[4096];
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) > 0)
            unlink(path);
    if (dir)
        closedir(dir);
    rmdir(folder);
}

int main(int argc, char **argv)
{
    static double off[TURNS], clocks[TURNS], on[TURNS];
    char folder[4000];
    ps_error error;
    const trace_identity self = {.who = "bench", .role = TRACE_OF_WORKER};
    const trace_options options = {.folder = folder};
    snprintf(folder, sizeof folder, "%s/bench-trace-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < TURNS; i++) {
        off[i] = record();
        clocks[i] = read_clocks();
    }
    if (trace_open(&options, &self, &error) != PS_OK) {
        fprintf(stderr, "bench_trace: %s\n", error.text);
        return EXIT_FAILURE;
    }
    const double all = cpu_ns(CLOCK_PROCESS_CPUTIME_ID), own = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < TURNS; i++) {
        on[i] = record();
        usleep(PAUSE_US);
    }
    trace_close();
    const double written = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - all - (cpu_ns(CLOCK_THREAD_CPUTIME_ID) - own);
    remove_all(folder);
    printf("a span: %.1f ns without a trace; %.0f ns with one, of which two looks at the clock are %.0f; "
           "and %.0f ns to write it\n",
           median(off), median(on), median(clocks), written / ((double)TURNS * SPANS));
    return EXIT_SUCCESS;
}
