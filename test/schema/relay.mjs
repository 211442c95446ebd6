// Compiles with relay-compiler what a Relay app does with a schema: it refetches
// every type that implements Node, pages through every connection in both
// directions, and calls every root field.
//
//   node relay.mjs [FOLDER OF THE SDL]
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRequiredArgument, printSchema } from "graphql";
import compiler from "relay-compiler";
import { capital, connections, nodes, operation, roots, selection } from "./documents.mjs";
import { read, report } from "./sdl.mjs";

const { schema } = read(process.argv[2]);
const depth = 2; // objects below an object

// Relay wants names to begin with that of their module, so each has a module of its own.
const modules = new Map();
const faults = [];
let artifacts = 0;

for (const type of nodes(schema)) {
  const name = `Node${type.name}`;
  modules.set(name, [
    `fragment ${name}_again on ${type.name} @refetchable(queryName: "${name}AgainQuery") { ${selection(schema, type, depth)} }`,
    `query ${name}Query($id: ID!) { node(id: $id) { ...${name}_again @alias } }`,
    `query ${name}ManyQuery($ids: [ID!]!) { nodes(ids: $ids) { ...${name}_again @alias } }`,
  ]);
}

const refetched = new Set(["Query", "Viewer", ...nodes(schema).map((type) => type.name)]);
for (const { owner, field } of connections(schema)) {
  const name = `Page${owner.name}${capital(field.name)}`;
  if (!refetched.has(owner.name)) {
    faults.push(`${owner.name}.${field.name} cannot be paged: Relay refetches Query, Viewer and what implements Node only`);
    continue;
  }
  modules.set(name, [paging(name, owner, field, "first", "after"), paging(name, owner, field, "last", "before")]);
}

function paging(module, owner, field, count, cursor) {
  const name = `${module}_${count}`;
  const needed = field.args.filter(isRequiredArgument);
  const declared = [
    `count: { type: "Int", defaultValue: 10 }`, `cursor: { type: "String" }`,
    ...needed.map((arg) => `${arg.name}: { type: "${arg.type}" }`),
  ];
  const given = [`${count}: $count`, `${cursor}: $cursor`, ...needed.map((arg) => `${arg.name}: $${arg.name}`)];
  const page = selection(schema, field.type, depth);
  return `fragment ${name} on ${owner.name}
    @refetchable(queryName: "${module}${capital(count)}Query") @argumentDefinitions(${declared.join(", ")})
    { ${field.name}(${given.join(", ")}) @connection(key: "${name}_${field.name}") { ${page} } }`;
}

for (const root of roots(schema)) {
  const name = `Root${capital(root.field.name)}`;
  modules.set(name, [operation(schema, root, name + capital(root.kind), depth)]);
}

const dir = mkdtempSync(join(tmpdir(), "souk-relay-"));
try {
  for (const sub of ["src", "artifacts"]) mkdirSync(join(dir, sub));
  for (const [name, documents] of modules) {
    writeFileSync(join(dir, "src", `${name}.js`), documents.map((text) => `graphql\`${text}\`;\n`).join(""));
  }
  writeFileSync(join(dir, "schema.graphql"), printSchema(schema));
  writeFileSync(join(dir, "relay.config.json"), JSON.stringify({
    src: "src", schema: "schema.graphql", artifactDirectory: "artifacts", language: "javascript",
  }));
  execFileSync(compiler, ["--noWatchman", "--output", "quiet-with-errors"], { cwd: dir, stdio: "pipe" });
  artifacts = readdirSync(join(dir, "artifacts")).length;
} catch (error) {
  const said = `${error.stdout ?? ""}${error.stderr ?? ""}`.replaceAll(/\x1b\[\d*m/g, "");
  faults.push(said || error.message);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
report(faults, `relay-compiler: ${nodes(schema).length} nodes, ${connections(schema).length} connections, ${roots(schema).length} operations, ${artifacts} artifacts`);
