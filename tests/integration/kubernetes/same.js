// Whether two rendered files hold the same documents, in whatever order and spelling.
//
// node same.js MODULES A.yaml B.yaml   exit code 1, and where they differ, if not.
"use strict";
const assert = require("assert");
const fs = require("fs");
const path = require("path");

function load(modules, file) {
    const yaml = require(path.join(modules, "yaml"));
    const documents = yaml.parseAllDocuments(fs.readFileSync(file, "utf8"), { version: "1.1" }).map((d) => d.toJS());
    return Object.fromEntries(documents.filter(Boolean).map((d) => [`${d.kind} ${d.metadata.name}`, d]));
}

const [modules, a, b] = process.argv.slice(2);
assert.deepStrictEqual(load(modules, a), load(modules, b));
