// Whether documents have the fields that Kubernetes knows, and each the type that it has there: by the compiler of
// TypeScript against `kubernetes-types`, which are made of Kubernetes' own API; what engines of others add (TFJob, ...)
// by the JSON schemas beside this file, whose parts of `kubernetesType` are Kubernetes' again.
"use strict";
const fs = require("fs");
const path = require("path");

// By "apiVersion kind"; the rest has a type of its own name in kubernetes-types.
const SCHEMAS = {
    "kubeflow.org/v1 TFJob": "TFJob.json",
    "jobset.x-k8s.io/v1alpha2 JobSet": "JobSet.json",
    "batch.volcano.sh/v1alpha1 Job": "VolcanoJob.json",
    "monitoring.coreos.com/v1 ServiceMonitor": "ServiceMonitor.json",
};

// A checker with what `modules`, a folder node_modules, holds.
class TypeChecker {
    constructor(modules) {
        this.modules = modules;
        const Ajv = require(path.join(modules, "ajv/dist/2020")).default;
        this.ajv = new Ajv({ allErrors: true });
        this.pieces = [];
        this.ajv.addKeyword({
            keyword: "kubernetesType",
            validate: (type, data) => this.pieces.push({ type, data }) > 0,
        });
        this.validators = {};
        for (const [kind, file] of Object.entries(SCHEMAS))
            this.validators[kind] = this.ajv.compile(JSON.parse(fs.readFileSync(path.join(__dirname, file), "utf8")));
    }

    // What the schema of its kind has against a document, and the pieces of it that TypeScript is to look at.
    split(document) {
        const { apiVersion, kind } = document;
        const validate = this.validators[`${apiVersion} ${kind}`];
        if (!validate) {
            const group = apiVersion === "v1" ? "core/v1" : apiVersion.replace(/\.k8s\.io\//, "/");
            return { problems: [], pieces: [{ type: `${group}.${kind}`, data: document }] };
        }
        this.pieces = [];
        validate(document);
        const problems = (validate.errors || []).map(
            (e) => `${kind}${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`,
        );
        return { problems, pieces: this.pieces };
    }

    // For each list of documents, what is wrong with them.
    check(lists) {
        const ts = require(path.join(this.modules, "typescript"));
        const sources = new Map();
        const results = lists.map((documents, i) => {
            const split = documents.map((document) => this.split(document));
            sources.set(path.join(this.modules, `list-${i}.ts`), typescript(split.flatMap((s) => s.pieces)));
            return split.flatMap((s) => s.problems);
        });
        const options = { strict: true, noEmit: true, types: [], module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2020 };
        const host = ts.createCompilerHost(options);
        const { getSourceFile, fileExists } = host;
        host.fileExists = (name) => sources.has(name) || fileExists(name);
        host.getSourceFile = (name, target) =>
            sources.has(name) ? ts.createSourceFile(name, sources.get(name), target) : getSourceFile(name, target);
        const program = ts.createProgram([...sources.keys()], options, host);
        for (const d of ts.getPreEmitDiagnostics(program)) {
            const text = ts.flattenDiagnosticMessageText(d.messageText, " ");
            const list = d.file && [...sources.keys()].indexOf(d.file.fileName);
            if (!(list >= 0)) throw new Error(text);
            const { line } = d.file.getLineAndCharacterOfPosition(d.start);
            results[list].push(`${d.file.text.split("\n")[line].trim()}: ${text}`);
        }
        return results;
    }
}

// One constant of its type per piece.
function typescript(pieces) {
    return pieces
        .map(({ type, data }, i) => {
            const [module, name] = type.split(/\.(?=[A-Za-z]+$)/);
            return `import type { ${name} as T${i} } from "kubernetes-types/${module}";\n` +
                `export const x${i}: T${i} = ${JSON.stringify(data, null, 1)};\n`;
        })
        .join("");
}

module.exports = { TypeChecker };
