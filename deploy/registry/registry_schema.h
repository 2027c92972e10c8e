/* registry_schema.h - the tables of a registry.
 *
 * model_versions keeps the highest version ever given under a name, also when it has been removed: a number
 * is never used again. `record` is the run as its folder has it (run_record.h); `lineage` of a model is a
 * copy, so that it outlives the run. Times are milliseconds since 1970. */
#ifndef PENSTOCK_DEPLOY_REGISTRY_SCHEMA_H
#define PENSTOCK_DEPLOY_REGISTRY_SCHEMA_H

enum {
    REGISTRY_APPLICATION = 0x50534b52, /* "PSKR", in the file's header */
    REGISTRY_SCHEMA_VERSION = 1,
};

static const char *const registry_schema[] = {
    "CREATE TABLE model_versions (name TEXT PRIMARY KEY NOT NULL, highest INTEGER NOT NULL)",
    "CREATE TABLE models (name TEXT NOT NULL REFERENCES model_versions, version INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL, source TEXT NOT NULL, run TEXT, lineage TEXT, PRIMARY KEY (name, "
    "version))",
    "CREATE TABLE model_files (name TEXT NOT NULL, version INTEGER NOT NULL, path TEXT NOT NULL,"
    " sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (name, version, path),"
    " FOREIGN KEY (name, version) REFERENCES models ON DELETE CASCADE)",
    "CREATE INDEX model_files_by_content ON model_files (sha256)",
    "CREATE TABLE model_tags (name TEXT NOT NULL, version INTEGER NOT NULL, key TEXT NOT NULL,"
    " value TEXT NOT NULL, PRIMARY KEY (name, version, key),"
    " FOREIGN KEY (name, version) REFERENCES models ON DELETE CASCADE)",
    ("CREATE TABLE runs (id TEXT PRIMARY KEY NOT NULL, experiment TEXT NOT NULL, folder TEXT NOT NULL,"
     " host TEXT NOT NULL, phase TEXT NOT NULL, started_ms INTEGER NOT NULL, record TEXT NOT NULL)"),
    "CREATE INDEX runs_by_experiment ON runs (experiment, started_ms)",
};

#endif
