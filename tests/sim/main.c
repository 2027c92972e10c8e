/* main.c - penstock-sim, the program behind `penstock sim`: runs seeds until one breaks an invariant, and
 * says how to see it again. */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/fpmode.h"
#include "common/log.h"
#include "common/options.h"
#include "tests/sim/cluster.h"

const char *argp_program_version = "penstock-sim " PENSTOCK_VERSION;

typedef struct {
    const char *name; /* of the command by which this was started */
    uint64_t first_seed, seeds;
    bool has_seed, has_range; /* --seed, and --seeds or --first-seed */
    bool trace;
    bool modes[MODE_COUNT];
    plant_kind plant;
} sim_options;

enum { SEEDS_FOR_EVERY_MOMENT = 500 };

enum { KEY_SEEDS = 256, KEY_FIRST_SEED, KEY_SEED, KEY_TRACE, KEY_MODE, KEY_PLANT };

static const char *const mode_names[MODE_COUNT] = {
    [MODE_LIVENESS] = "liveness",
    [MODE_SAFETY] = "safety",
};

#define PLANT_HELP(name, text, what) "\n" text ": " what
static const struct argp_option options[] = {
    {"seeds", KEY_SEEDS, "N", 0, "Run N schedules, per mode (default: 1000)", 0},
    {"first-seed", KEY_FIRST_SEED, "S", 0, "The first has seed S, the others those after it (default: 1)", 0},
    {"seed", KEY_SEED, "S", 0, "Run the one schedule of seed S, per mode", 0},
    {"trace", KEY_TRACE, 0, 0, "Print every event", 0},
    {"mode", KEY_MODE, "MODE", 0,
     "liveness: the faults stop, and then the job must come to its end in time; safety: they never do, and "
     "nothing wrong may happen; both (default)",
     0},
    {"plant", KEY_PLANT, "FAULT", 0,
     "Make the shards misbehave, to test the simulator. FAULT is one of" PLANT_LIST(PLANT_HELP), 0},
    {0},
};

static void parse_mode(const char *text, sim_options *o, ps_error *error)
{
    const bool both = strcmp(text, "both") == 0;
    bool known = both;
    for (int mode = 0; mode < MODE_COUNT; mode++) {
        o->modes[mode] = both || strcmp(text, mode_names[mode]) == 0;
        known |= o->modes[mode];
    }
    if (!known)
        ps_fail(error, PS_EINVAL, "--mode: '%s' is none of liveness safety both", text);
}

/* Every seed must be one that --seed takes: its schedule could not be run again otherwise. */
static void check_range(const sim_options *o, ps_error *error)
{
    if (o->has_seed && o->has_range)
        ps_fail(error, PS_EINVAL,
                "--seed stands for one schedule; it does not go with --seeds and --first-seed");
    else if (o->seeds - 1 > INT64_MAX - o->first_seed)
        ps_fail(error, PS_EINVAL,
                "--first-seed: %" PRIu64 " schedules from %" PRIu64 " on exceed the last seed, %" PRId64,
                o->seeds, o->first_seed, INT64_MAX);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    sim_options *o = state->input;
    ps_error error = {PS_OK, ""};
    switch (key) {
    case KEY_SEEDS:
        option_unsigned("seeds", argument, 1, UINT32_MAX, &o->seeds, &error);
        o->has_range = true;
        break;
    case KEY_FIRST_SEED:
        option_unsigned("first-seed", argument, 0, INT64_MAX, &o->first_seed, &error);
        o->has_range = true;
        break;
    case KEY_SEED:
        option_unsigned("seed", argument, 0, INT64_MAX, &o->first_seed, &error);
        o->seeds = 1;
        o->has_seed = true;
        break;
    case KEY_TRACE:
        o->trace = true;
        break;
    case KEY_MODE:
        parse_mode(argument, o, &error);
        break;
    case KEY_PLANT:
        plant_kind_parse(argument, &o->plant, &error);
        break;
    case ARGP_KEY_END:
        check_range(o, &error);
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", argument);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error.status != PS_OK)
        argp_error(state, "%s", error.text);
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .doc =
        "Train toy models on simulated clusters whose network delays, repeats, reorders, loses and cuts off "
        "messages, whose processes die, stop and have odd clocks, and whose disks are slow, full and "
        "damaged, with and without logs of updates, whose administrator has checkpoints kept and ends jobs, "
        "and check after every event that nothing is applied "
        "twice, early or differently, and that everybody "
        "finishes.\vA schedule is a pure function of its seed and mode. Exit code 1 if one breaks an "
        "invariant; the command that replays it is printed.",
};

static void add_summary(cluster_summary *sum, const cluster_summary *one)
{
    sum->network.delivered += one->network.delivered;
    sum->network.lost += one->network.lost;
    sum->network.repeated += one->network.repeated;
    sum->network.overtaken += one->network.overtaken;
    sum->virtual_ms += one->virtual_ms;
    sum->crashes += one->crashes;
    sum->pauses += one->pauses;
    sum->jumps += one->jumps;
    sum->images_kept += one->images_kept;
    sum->images_failed += one->images_failed;
    sum->images_lost += one->images_lost;
    sum->ended += one->ended;
    sum->stops += one->stops;
    sum->checkpoints_ordered += one->checkpoints_ordered;
    sum->stops_lost += one->stops_lost;
    sum->logs += one->logs;
    sum->recoveries += one->recoveries;
    sum->torn += one->torn;
    sum->shrinking += one->shrinking;
    sum->stand_ins += one->stand_ins;
    sum->replaced += one->replaced;
    sum->left += one->left;
    sum->entered += one->entered;
    sum->restores += one->restores;
    for (int m = 0; m < MOMENT_COUNT; m++)
        sum->moments[m] += one->moments[m];
}

static void print_summary(const sim_options *o, const cluster_summary *sum, double seconds)
{
    printf("%" PRIu64 " schedules passed, %" PRIu64 " jobs came to their end: %" PRIu64
           " messages delivered, %" PRIu64 " lost, %" PRIu64 " repeated, %" PRIu64 " overtaken; %" PRIu64
           " crashes, %" PRIu64 " pauses, %" PRIu64 " clock jumps; %" PRIu64 " images kept, %" PRIu64
           " failed, %" PRIu64 " lost; %.1f virtual hours; %.0f seeds/s\n",
           o->seeds, sum->ended, sum->network.delivered, sum->network.lost, sum->network.repeated,
           sum->network.overtaken, sum->crashes, sum->pauses, sum->jumps, sum->images_kept,
           sum->images_failed, sum->images_lost, (double)sum->virtual_ms / 3.6e6, (double)o->seeds / seconds);
}

static void print_logs(const cluster_summary *sum)
{
    const uint64_t *at = sum->moments;
    printf("%" PRIu64 " logs, %" PRIu64 " recoveries by them, %" PRIu64 " torn records; crashes: %" PRIu64
           " before a record was appended, %" PRIu64 " before it was durable, %" PRIu64
           " then before the answer left, %" PRIu64 " between a segment and its image; %" PRIu64
           " ends for want of a disk\n",
           sum->logs, sum->recoveries, sum->torn, at[MOMENT_BEFORE_APPEND], at[MOMENT_APPENDED],
           at[MOMENT_DURABLE], at[MOMENT_BEFORE_KEEP], at[MOMENT_LOG_FAILED]);
}

static void print_members(const cluster_summary *sum)
{
    printf("%" PRIu64 " jobs whose workers may be lost: %" PRIu64 " left, %" PRIu64 " entered, %" PRIu64
           " processes stood in for them, %" PRIu64 " came back and found their place taken; %" PRIu64
           " restores\n",
           sum->shrinking, sum->left, sum->entered, sum->stand_ins, sum->replaced, sum->restores);
}

static void print_orders(const cluster_summary *sum)
{
    printf("%" PRIu64 " jobs ended and %" PRIu64 " checkpoints kept by order of an administrator, %" PRIu64
           " orders lost with ps 0 and the chief\n",
           sum->stops, sum->checkpoints_ordered, sum->stops_lost);
}

/* A moment at which nothing ever crashes is not tried, whatever fault.h says. Few schedules may miss some. */
static bool has_crashed_at_every_moment(const sim_options *o, const cluster_summary *sum)
{
    if (o->seeds < SEEDS_FOR_EVERY_MOMENT)
        return true;
    for (int m = 0; m < MOMENT_COUNT; m++) {
        if (sum->moments[m] > 0)
            continue;
        printf("in %" PRIu64 " schedules no ps has crashed at moment %d of fault.h\n", o->seeds, m);
        return false;
    }
    return true;
}

static void print_failure(const sim_options *o, uint64_t seed, scenario_mode mode, const ps_error *why)
{
    bool planted = o->plant != PLANT_NONE;
    printf("seed %" PRIu64 ": %s\nreplay: %s --seed %" PRIu64 " --mode %s --trace%s%s\n", seed, why->text,
           o->name, seed, mode_names[mode], planted ? " --plant " : "",
           planted ? plant_kind_name(o->plant) : "");
}

/* False: an invariant broke, which has been said. */
static bool run_seed(const sim_options *o, uint64_t seed, cluster_summary *sum)
{
    const trace t = {.file = o->trace ? stdout : NULL};
    for (int mode = 0; mode < MODE_COUNT; mode++) {
        cluster_summary one;
        ps_error why = {PS_OK, ""};
        if (!o->modes[mode])
            continue;
        if (cluster_run(seed, (scenario_mode)mode, o->plant, &t, &one, &why) != PS_OK) {
            print_failure(o, seed, (scenario_mode)mode, &why);
            return false;
        }
        add_summary(sum, &one);
    }
    return true;
}

int main(int argc, char **argv)
{
    sim_options o = {.first_seed = 1, .seeds = 1000, .modes = {true, true}};
    o.name = argv[0];
    argp_err_exit_status = PS_EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    log_setup("sim", LOG_OFF);
    fpmode_flush_denormals();
    cluster_summary sum = {0};
    double started = clock_monotonic_seconds();
    for (uint64_t i = 0; i < o.seeds; i++)
        if (!run_seed(&o, o.first_seed + i, &sum))
            return PS_EXIT_FAILURE;
    print_summary(&o, &sum, clock_monotonic_seconds() - started);
    print_logs(&sum);
    print_members(&sum);
    print_orders(&sum);
    return has_crashed_at_every_moment(&o, &sum) ? PS_EXIT_DONE : PS_EXIT_FAILURE;
}
