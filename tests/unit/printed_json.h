/* printed_json.h - what a module prints as JSON, parsed. */
#ifndef PENSTOCK_TESTS_PRINTED_JSON_H
#define PENSTOCK_TESTS_PRINTED_JSON_H

#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "tests/unit/unit.h"

typedef struct {
    char *text;
    size_t bytes;
    FILE *out;
} printed_json;

/* Where to print to. */
static inline FILE *printed_json_begin(printed_json *p)
{
    *p = (printed_json){.text = NULL};
    p->out = open_memstream(&p->text, &p->bytes);
    assert_non_null(p->out);
    return p->out;
}

/* What was printed; free it. */
static inline json *printed_json_end(printed_json *p)
{
    json *root = NULL;
    ps_error error;
    const json_options options = {.source = "what was printed", .max_bytes = 16 << 20};
    fclose(p->out);
    if (json_parse(p->text, p->bytes, &options, &root, NULL, &error) != PS_OK)
        fail_msg("%s", error.text);
    free(p->text);
    return root;
}

#endif
