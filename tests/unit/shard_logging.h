/* shard_logging.h - a shard with a journal and checkpoints, for tests of what it holds back and how it comes
 * back. */
#ifndef PENSTOCK_TESTS_SHARD_LOGGING_H
#define PENSTOCK_TESTS_SHARD_LOGGING_H

#include <math.h>
#include <sys/stat.h>

#include "common/log.h"
#include "ps/archive_folder.h"
#include "ps/optimizer.h"
#include "ps/shard_state.h"
#include "tests/unit/folder.h"
#include "tests/unit/journal_fake.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/shard_bench.h"

typedef struct {
    shard_bench bench;
    fake_journal *journal;
    archive *archive;
} logging;

static inline archive *open_archive(void)
{
    archive *a;
    ps_error error;
    if (archive_folder_create("checkpoints", ARCHIVE_KEEP_MAX, &a, &error) != PS_OK)
        fail_msg("%s", error.text);
    return a;
}

/* Of one ps; the job may be changed before open_shard. */
static inline void open_job(logging *l, uint32_t workers, uint64_t elements)
{
    bench_open(&l->bench, 1, workers, elements);
    l->journal = fake_create();
    l->archive = open_archive();
}

static inline void open_shard(logging *l, uint64_t image_steps)
{
    l->bench.config.archive = l->archive;
    l->bench.config.journal = &l->journal->base;
    l->bench.config.image_steps = image_steps;
    bench_reopen(&l->bench);
    bench_prepare(&l->bench);
}

/* All workers have joined. */
static inline void open_logging(logging *l, uint32_t workers, consistency_mode mode)
{
    open_job(l, workers, 100);
    l->bench.job.mode = mode;
    open_shard(l, 1000);
    for (uint32_t w = 0; w < workers; w++)
        bench_join(&l->bench, WIRE_WORKER, w);
}

static inline void close_logging(logging *l)
{
    l->archive->ops->destroy(l->archive);
    bench_close(&l->bench);
    fake_destroy(&l->journal);
}

/* A new process under the same folder; what was not durable is gone. */
static inline void restart(logging *l)
{
    fake_journal *cut =
        fake_cut(l->journal, l->journal->holds ? (uint32_t)l->journal->durable : l->journal->count);
    l->archive->ops->destroy(l->archive);
    l->archive = open_archive();
    l->bench.config.incarnation++;
    l->bench.config.archive = l->archive;
    l->bench.config.journal = &cut->base;
    bench_reopen(&l->bench);
    fake_destroy(&l->journal);
    l->journal = cut;
}

static inline uint64_t ask(shard_bench *b, wire_message *m)
{
    uint64_t request = m->request;
    bench_send(b, m);
    return request;
}

/* From now on only what the test lets become durable is. */
static inline void hold(logging *l)
{
    l->journal->holds = true;
    l->journal->durable = l->journal->count;
}

static inline void let_go(logging *l)
{
    l->journal->durable = l->journal->count;
}

#endif
