/* models_print.h - models as people and scripts read them, on standard output. */
#ifndef PENSTOCK_DEPLOY_MODELS_PRINT_H
#define PENSTOCK_DEPLOY_MODELS_PRINT_H

#include "deploy/registry/model_store.h"

void models_print_table(const model_list *list);

/* One version with its files. */
void models_print_one(const model_version *v, const model_files *files);

/* {"schema": "penstock-models/1", "models": [...]}; `files` (may be NULL) are those of the one
 * version of the list. */
void models_print_json(const model_list *list, const model_files *files);

#endif
