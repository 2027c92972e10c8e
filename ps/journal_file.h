/* journal_file.h - a journal of files: an append-only log per shard in the folder of the checkpoints.
 *
 *   CHECKPOINTS/log/ps-0-of-2/000000000001.log ...      (format: ps/journal_format.h)
 *
 * Another process that is the same ps is refused the log (open: PS_EIO), as long as this journal is there.
 *
 * Threads: the shard's appends records to a queue; a writer of its own takes all that has come meanwhile,
 * writes it from where it lies and makes it durable by one fdatasync for all (group commit), then lets go of
 * the buffers and wakes the shard's thread. What waits in the queue is bounded by what workers may have on
 * the way without an answer.
 *
 * Size: as many segments as stand since the last image but one that is durable; with --checkpoint-steps n
 * that is what 3 n steps push to this shard, and more only while images cannot be written, and up to
 * as long again: then they are tried ever more rarely, since each that fails costs a segment.
 *
 * Where the disk is full or fails, nothing more is acknowledged: the first error is kept, the writer writes
 * no more (after a failed fdatasync nobody knows what is on the disk), and the process is to end, for
 * whatever runs it to start it again (journal_file_failure). The workers wait meanwhile.
 *
 * CRCs find what disks and crashes do, not malice. A worker in shared memory that goes back while its
 * gradient is being written, because another ps without a log has restarted, may rewrite it meanwhile: the
 * record is then damaged, and is never needed. */
#ifndef PENSTOCK_PS_JOURNAL_FILE_H
#define PENSTOCK_PS_JOURNAL_FILE_H

#include "ps/journal.h"

/* In `checkpoints`/log, which need not be there. PS_EIO: no descriptor or thread; PS_ENOMEM. */
ps_status journal_file_create(const char *checkpoints, journal **out, ps_error *error);

/* Readable when journal_file_hear has something to hear: more is durable, or the log has failed. */
int journal_file_descriptor(const journal *j);
void journal_file_hear(journal *j);

/* PS_OK, or PS_ELOG: it can be written no more, and why. On any thread. */
ps_status journal_file_failure(const journal *j, ps_error *error);

/* The job is at its end and its last image is durable: the log goes with it. */
void journal_file_finish(journal *j);

/* For a ps that keeps no log: PS_ECONFIG if there is one of this ps, with updates that are in no checkpoint.
 */
ps_status journal_file_expect_none(const char *checkpoints, uint32_t server, ps_error *error);

#endif
