// Whether files are YAML in which nothing is said twice: kubectl and helm let the last of two keys win without a word.
//
// node once.js MODULES FILE.yaml...   exit code 1, and where, if not.
"use strict";
const fs = require("fs");
const path = require("path");

const [modules, ...files] = process.argv.slice(2);
const yaml = require(path.join(modules, "yaml"));
for (const file of files)
    for (const { errors } of yaml.parseAllDocuments(fs.readFileSync(file, "utf8"), { version: "1.1" }))
        for (const { message } of errors) {
            console.log(`${file}: ${message}`);
            process.exitCode = 1;
        }
