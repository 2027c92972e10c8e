/* journal_disk.h - what the disk refuses to the journal of a test, which is linked with
 * --wrap=fdatasync,--wrap=ftruncate,
 * --wrap=fsync. What it does not refuse is as good as done: nothing here outlives the machine. */
#ifndef PENSTOCK_TESTS_JOURNAL_DISK_H
#define PENSTOCK_TESTS_JOURNAL_DISK_H

#include <stdbool.h>

/* Each with EIO. Read by the writer of a journal, too: to be set while that has nothing to do. */
extern struct disk_refusals {
    bool data_sync, sync, folder_sync, cut;
} disk_refuses;

#endif
