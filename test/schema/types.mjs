// Generates TypeScript with graphql-codegen, for the schema and for an operation
// on every root field, and has tsc check it in strict mode.
//
//   node types.mjs [FOLDER OF THE SDL]
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codegen } from "@graphql-codegen/core";
import * as typescript from "@graphql-codegen/typescript";
import * as operations from "@graphql-codegen/typescript-operations";
import { parse, printSchema } from "graphql";
import ts from "typescript";
import { capital, nodes, operation, roots, selection } from "./documents.mjs";
import { read, report } from "./sdl.mjs";

const { schema } = read(process.argv[2]);
const depth = 3; // objects below an object

const config = {
  // A scalar that is not here is a fault: clients must be told what carries it.
  strictScalars: true,
  scalars: {
    Int64: { input: "string | number", output: "string" },
    DateTime: "string",
    CurrencyCode: "string",
    URL: "string",
  },
  skipTypename: false,
};

const documents = [
  ...roots(schema).map((root) => operation(schema, root, capital(root.field.name) + capital(root.kind), depth)),
  ...nodes(schema).map((type) => `query Node${type.name}Query($id: ID!) { node(id: $id) { ... on ${type.name} { ${selection(schema, type, depth)} } } }`),
].map((text, i) => ({ location: `${i}.graphql`, document: parse(text) }));

const dir = mkdtempSync(join(tmpdir(), "souk-types-"));
const faults = [];
let lines = 0;
try {
  const text = await codegen({
    filename: "schema.ts", schema: parse(printSchema(schema)), documents, config,
    plugins: [{ typescript: {} }, { operations: {} }], pluginMap: { typescript, operations },
  });
  lines = text.split("\n").length;
  const file = join(dir, "schema.ts");
  writeFileSync(file, text);
  faults.push(...diagnose(file));
} catch (error) {
  faults.push(error.errors?.map(({ message }) => message).join("\n") ?? error.message);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
report(faults, `graphql-codegen: ${documents.length} operations, ${lines} lines of TypeScript`);

function diagnose(file) {
  const program = ts.createProgram([file], {
    strict: true, noEmit: true, noUncheckedIndexedAccess: true, target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, types: [],
  });
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const at = diagnostic.file?.getLineAndCharacterOfPosition(diagnostic.start);
    return `schema.ts:${at ? at.line + 1 : 0} ${ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n")}`;
  });
}
