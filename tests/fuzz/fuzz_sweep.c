/* fuzz_sweep.c - any bytes as the space of a sweep: refused with a line, or one whose trials can be listed,
 * all different and each value a number of its range or one of its choices. */
#include <stdlib.h>
#include <string.h>

#include "deploy/sweep/sweep_trials.h"
#include "tests/fuzz/fuzz.h"

static void require_value(const sweep_parameter *p, const char *value)
{
    char argument[SWEEP_ARGUMENT_BYTES];
    FUZZ_REQUIRE(sweep_argument(p, value, argument) || p->flag);
    if (p->range == RANGE_CHOICE) {
        bool found = false;
        for (size_t i = 0; i < p->choice_count; i++)
            found |= strcmp(value, p->choices[i]) == 0;
        FUZZ_REQUIRE(found);
        return;
    }
    char *end;
    const double number = strtod(value, &end);
    FUZZ_REQUIRE(*value && !*end && number >= p->low && number <= p->high);
}

static void require_sound(const sweep_space *space)
{
    sweep_trials t;
    char text[256];
    ps_error error = {PS_OK, ""};
    FUZZ_REQUIRE(space->parameter_count > 0 && space->parameter_count <= SWEEP_PARAMETERS_MAX);
    ps_status status = sweep_trials_make(space, space->seed, &t, &error);
    FUZZ_REQUIRE(status == PS_OK || (status == PS_ECONFIG && error.text[0]));
    FUZZ_REQUIRE((status == PS_OK) == (t.count > 0) && t.count <= SWEEP_TRIALS_MAX);
    for (size_t i = 0; i < t.count; i++) {
        for (size_t p = 0; p < space->parameter_count; p++)
            require_value(&space->parameters[p], sweep_trials_values(&t, i)[p].text);
        sweep_values_describe(space, sweep_trials_values(&t, i), text, sizeof text);
        FUZZ_REQUIRE(text[0]);
    }
    sweep_trials_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes > 0 ? bytes : 1); /* of exactly its size */
    FUZZ_REQUIRE(text);
    memcpy(text, data, bytes);
    sweep_space *space;
    ps_error error = {PS_OK, ""};
    ps_status status = sweep_space_parse(text, bytes, "space", &space, &error);
    FUZZ_REQUIRE((status == PS_OK) == (space != NULL));
    if (space)
        require_sound(space);
    else
        FUZZ_REQUIRE(error.status == status && error.text[0]);
    free(space);
    free(text);
    return 0;
}
