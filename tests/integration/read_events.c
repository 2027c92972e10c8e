/* read_events.c - prints what an event file holds, a line each: "STEP TAG VALUE" of scalars, "STEP TAG
 * histogram COUNT", "STEP TAG text", "STEP start". Exit code 1 if it is no such file, or ends amid a record.
 *
 * Usage: read_events FILE */
#include <inttypes.h>
#include <stdio.h>

#include "common/file.h"
#include "tests/event_reader.h"

static void print_value(int64_t step, const Board__Value *v)
{
    printf("%" PRId64 " %s ", step, v->tag);
    if (v->value_case == BOARD__VALUE__VALUE_SIMPLE_VALUE)
        printf("%.9g\n", (double)v->simple_value);
    else if (v->value_case == BOARD__VALUE__VALUE_HISTO)
        printf("histogram %.0f\n", v->histo->num);
    else
        printf("text\n");
}

int main(int argc, char **argv)
{
    char *bytes;
    event_reader r = {.at = 0};
    ps_error error;
    if (argc != 2 || file_read(argv[1], (size_t)1 << 30, &bytes, &r.size, &error) != PS_OK) {
        fprintf(stderr, "read_events: %s\n", argc == 2 ? error.text : "FILE");
        return EXIT_FAILURE;
    }
    r.bytes = (const uint8_t *)bytes;
    for (Board__Event *e; (e = event_reader_next(&r)); board__event__free_unpacked(e, NULL)) {
        if (e->what_case == BOARD__EVENT__WHAT_SESSION_LOG)
            printf("%" PRId64 " start\n", e->step);
        for (size_t i = 0; e->what_case == BOARD__EVENT__WHAT_SUMMARY && i < e->summary->n_value; i++)
            print_value(e->step, e->summary->value[i]);
    }
    free(bytes);
    return r.at == r.size ? EXIT_SUCCESS : EXIT_FAILURE;
}
