/* table.c - the figures for people, a row at a time. See results.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/results.h"

uint32_t host_cores(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

void host_processor(char *name, size_t bytes)
{
    char line[256];
    snprintf(name, bytes, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        snprintf(name, bytes, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (file)
        fclose(file);
}

void table_print_title(const bench_options *o)
{
    char processor[128];
    host_processor(processor, sizeof processor);
    printf("%u processors, %s; median of %u turns of %g s each", host_cores(), processor, o->turns,
           o->seconds);
    if (o->client_processor == OPTIONS_ANYWHERE)
        printf("; not pinned\n");
    else
        printf("; client on processor %d, server on %d\n", o->client_processor, o->server_processor);
}

void table_print_group(const char *name)
{
    printf("\n%-36s %7s %9s %9s %-6s %6s %8s  %8s %8s %6s %6s  %-4s %s\n", name, "bytes", "Penstock", "floor",
           "", "ratio", "wanted", "cpu", "floor's", "ratio", "wanted", "met", "ps MB/state");
    fflush(stdout);
}

static void print_bytes(uint64_t bytes)
{
    static const char *const units[] = {"", "K", "M", "G"};
    int unit = 0;
    for (; bytes >= 1024 && bytes % 1024 == 0 && unit < 3; unit++)
        bytes /= 1024;
    if (bytes)
        printf(" %6llu%1s", (unsigned long long)bytes, units[unit]);
    else
        printf(" %7s", "");
}

/* `width` characters, about four of them digits that mean something. */
static void print_figure(double value, int width)
{
    if (isnan(value))
        printf(" %*s", width, "");
    else
        printf(" %*.*f", width, value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3, value);
}

static void print_wanted(double value, bool at_most, int width)
{
    char text[32] = "";
    if (!isnan(value))
        snprintf(text, sizeof text, "%s%.2f", at_most ? "<=" : ">=", value);
    printf(" %*s", width, text);
}

void table_print_row(const result_row *row)
{
    /* Per GB in seconds, per operation in microseconds. */
    double cpu_scale = row->bytes && strcmp(row->unit, "GB/s") == 0 ? 1 : 1e6;
    bool judged = !isnan(row->wanted) || !isnan(row->cpu_wanted);
    printf("%-36s", row->name);
    print_bytes(row->bytes);
    print_figure(row->penstock, 9);
    print_figure(row->floor, 9);
    printf(" %-6s", row->unit);
    print_figure(row->ratio, 6);
    print_wanted(row->wanted, row->at_most, 8);
    printf(" ");
    print_figure(row->cpu_penstock * cpu_scale, 8);
    print_figure(row->cpu_floor * cpu_scale, 8);
    print_figure(row->cpu_ratio, 6);
    print_wanted(row->cpu_wanted, true, 6);
    printf("  %-4s", !judged ? "" : row_is_met(row) ? "yes" : "NO");
    if (!isnan(row->resident_bytes))
        printf(" %.1f/%.1f", row->resident_bytes / 1e6, row->stored_bytes / 1e6);
    printf("\n");
    fflush(stdout);
}

void table_print_summary(const results *r)
{
    uint32_t judged = 0, met = 0;
    for (uint32_t i = 0; i < r->row_count; i++) {
        const result_row *row = &r->rows[i];
        if (isnan(row->wanted) && isnan(row->cpu_wanted))
            continue;
        judged++;
        met += row_is_met(row);
    }
    printf("\n%u rows; of %u with a wanted figure %u meet it", r->row_count, judged, met);
    if (r->failures)
        printf("; %u cases FAILED", r->failures);
    printf("\ncpu: processor seconds per GB of both ends together; microseconds per operation where there is "
           "no GB/s\n");
}
