/* status_table.h - the status pages of a cluster as a table for people, 80 columns wide. */
#ifndef PENSTOCK_DEPLOY_STATUS_TABLE_H
#define PENSTOCK_DEPLOY_STATUS_TABLE_H

#include <stdio.h>

#include "deploy/status/status_gather.h"

/* At least one page is there. Progress and workers are as the ps
 * sees them that has got least far: a step is done when all ps have applied it. */
void status_table_print(const status_pages *all, FILE *out);

#endif
