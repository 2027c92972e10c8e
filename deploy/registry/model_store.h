/* model_store.h - models in a registry: versions count up per name, and hold files, tags and their lineage.
 *
 * A version never changes once it is there. The lineage is what its run was (run_record.h): options, data,
 * metrics.
 *
 * Safe with other processes on the same registry, and when killed: what happens, happens whole. */
#ifndef PENSTOCK_DEPLOY_MODEL_STORE_H
#define PENSTOCK_DEPLOY_MODEL_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "deploy/registry/registry.h"

enum {
    MODEL_TAGS_MAX = 32,
    MODEL_TAG_VALUE_MAX = 1024, /* bytes, with its terminator */
};

typedef struct {
    const char *key, *value;
} model_tag;

typedef struct {
    const char *name;
    const char *path; /* a folder, or one file */
    const char *run;  /* that it comes from; NULL: none is known */
    const model_tag *tags;
    size_t tag_count;
} model_registration;

typedef struct {
    char *name;
    int64_t version, created_ms, files, bytes;
    char *source;  /* the path it was registered from */
    char *run;     /* NULL: none */
    char *lineage; /* JSON; NULL: none */
    char *tags;    /* a JSON object */
} model_version;

typedef struct {
    model_version *versions; /* by name, then number */
    size_t count;
} model_list;

typedef struct {
    char *name;
    int64_t version;
    char *path;
    char sha256[SHA256_HEX_BYTES];
    int64_t bytes;
} model_file;

typedef struct {
    model_file *files; /* by name, number and path */
    size_t count;
} model_files;

/* Keeps the files at `path` as a new version, and says which. PS_EINVAL: the name, a tag, or something at the
 * path cannot be taken, or there is no such run; PS_ENOENT, PS_EIO (a full disk), PS_ELIMIT, PS_ETIMEDOUT,
 * PS_ENOMEM. On failure the registry is as it was. */
ps_status model_store_register(registry *r, const model_registration *m, int64_t *version, ps_error *error);

/* The number of the newest version if `*version` is 0; PS_EINVAL if there is no such model or version. */
ps_status model_store_resolve(registry *r, const char *name, int64_t *version, ps_error *error);

/* Versions of `name` (NULL: of all), `version` alone unless that is 0. The caller frees the list. */
ps_status model_store_list(registry *r, const char *name, int64_t version, model_list *list, ps_error *error);
void model_list_free(model_list *list);

/* Their files, likewise. */
ps_status model_store_files(registry *r, const char *name, int64_t version, model_files *list,
                            ps_error *error);
void model_files_free(model_files *list);

/* Writes the files of a version to the new folder `target`, after their content has been found to be what was
 * registered. PS_EINVAL: the target is there already; PS_EFORMAT: a file is damaged; PS_EIO. On failure there
 * is no target. */
ps_status model_store_download(registry *r, const char *name, int64_t version, const char *target,
                               ps_error *error);

/* Removes a version, or with 0 all of a name, and the files that no other one has. PS_EINVAL: there is none;
 * PS_EIO, PS_ETIMEDOUT: it may be removed all the same, and only files be left; then the message says so. */
ps_status model_store_remove(registry *r, const char *name, int64_t version, ps_error *error);

/* Reads every file; `found` is told of each whether it is whole (PS_OK), else why not. PS_OK means that all
 * have been looked at. */
typedef void model_verdict(void *context, const model_file *file, const ps_error *verdict);
ps_status model_store_verify(registry *r, const char *name, int64_t version, model_verdict *found,
                             void *context, ps_error *error);

#endif
