/* cases_curve.c - what encryption costs: pushes and pulls of one worker and one ps over TCP, with keys
 * (CURVE).
 *
 * Each beside two others: ZeroMQ with CURVE (raw_zmq.h), with the same frames under way on the same
 * processors, which is the floor; and the same without keys, of which nothing is wanted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/curve_keys.h"
#include "common/file.h"
#include "common/transport.h"
#include "deploy/registry/file_tree.h"
#include "tests/bench/cases.h"
#include "tests/bench/driver.h"
#include "tests/bench/raw_zmq.h"

#define WANTED 0.9 /* of the floor */

static const struct {
    const char *name;
    driver_operation operation;
    raw_kind floor;
} operations[] = {
    {"push", DRIVER_PUSH, RAW_PUSH},
    {"pull", DRIVER_PULL, RAW_PULL},
    {"push_pull", DRIVER_PUSH_PULL, RAW_PUSH_PULL},
};

static const struct {
    uint64_t bytes;
    uint32_t slice_bytes;
} sizes[] = {{64 * KIB, 64 * KIB}, {MIB, MIB}, {4 * MIB, MIB}};

/* ---- keys ---- */

/* A key in `folder`, and what others know it by. */
static ps_status make_key(const char *folder, const char *name, key_pair *pair, ps_error *error)
{
    char path[PATH_BYTES];
    ps_status status = transport_make_keys(pair, error);
    if (status == PS_OK)
        status = path_make(path, error, "%s/%s.key", folder, name);
    return status == PS_OK ? key_file_write_pair(path, pair, name, error) : status;
}

/* What a ps and its chief need, in a new folder. */
static ps_status make_keys(char *folder, ps_error *error)
{
    char path[PATH_BYTES], line[2 * KEY_TEXT];
    key_pair ps, chief;
    if (!mkdtemp(folder))
        return path_fail(error, "make", folder);
    ps_status status = make_key(folder, "ps", &ps, error);
    if (status == PS_OK)
        status = make_key(folder, "chief", &chief, error);
    if (status == PS_OK)
        status = path_make(path, error, "%s/" CURVE_PS_PUBLIC, folder);
    if (status == PS_OK)
        status = key_file_write_public(path, &ps, "the ps", error);
    if (status == PS_OK)
        status = path_make(path, error, "%s/" CURVE_ALLOW, folder);
    if (status != PS_OK)
        return status;
    const int bytes = snprintf(line, sizeof line, "chief %s\n", chief.public_key);
    const struct iovec part = {.iov_base = line, .iov_len = (size_t)bytes};
    key_pair_wipe(&ps);
    key_pair_wipe(&chief);
    return file_write_atomic(path, &part, 1, error);
}

/* ---- comparisons ---- */

/* Takes turns, ends both. */
static ps_status compare(const bench_options *o, stage *penstock, stage *other, comparison *c,
                         result_row *row, ps_error *error)
{
    contender one = stage_contender(penstock, 0), two = stage_contender(other, 0);
    ps_status status = turns_take(o, 1, &one, &two, c, error);
    row->resident_bytes = (double)driver_resident_bytes(penstock);
    return status;
}

/* Penstock with keys, beside the floor (`raw`) or, where that is NULL, beside Penstock without. */
static void measure(const bench_options *o, results *r, const char *title, const driver_setup *setup,
                    const raw_setup *raw)
{
    result_row row = row_make(title, setup->model_bytes, "GB/s");
    stage penstock = {0}, other = {0};
    driver_setup plain = *setup;
    comparison c;
    ps_error error;
    plain.keys_folder = NULL;
    ps_status status = driver_open(o, setup, &penstock, &error);
    if (status == PS_OK)
        status = raw ? raw_zmq_open(o, raw, &other, &error) : driver_open(o, &plain, &other, &error);
    if (status == PS_OK)
        status = compare(o, &penstock, &other, &c, &row, &error);
    stage_end(&penstock);
    stage_end(&other);
    if (status != PS_OK) {
        results_fail(r, title, &error);
        return;
    }
    const double directions = setup->operation == DRIVER_PUSH_PULL ? 2 : 1;
    row_take_rates(&row, &c, directions * 1e-9 * (double)setup->model_bytes, true, true);
    row.wanted = raw ? WANTED : NAN;
    row.stored_bytes = (double)driver_stored_bytes(setup);
    results_add(r, &row);
}

void cases_curve(const bench_options *o, results *r)
{
    char folder[] = "/tmp/penstock-bench-XXXXXX", title[RESULTS_NAME_MAX];
    ps_error error;
    if (make_keys(folder, &error) != PS_OK)
        results_fail(r, "keys", &error);
    for (size_t k = 0; k < sizeof operations / sizeof *operations; k++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            driver_setup setup = driver_pair(operations[k].operation, sizes[i].bytes, sizes[i].slice_bytes);
            const raw_setup raw = {
                .kind = operations[k].floor,
                .curve = true,
                .frames = (uint32_t)(sizes[i].bytes / sizes[i].slice_bytes),
                .frame_bytes = sizes[i].slice_bytes,
            };
            setup.keys_folder = folder;
            snprintf(title, sizeof title, "%s, CURVE", operations[k].name);
            measure(o, r, title, &setup, &raw);
            snprintf(title, sizeof title, "%s, CURVE beside plain", operations[k].name);
            measure(o, r, title, &setup, NULL);
        }
    }
    file_tree_remove(folder, NULL);
}
