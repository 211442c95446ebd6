// Reads a folder of GraphQL SDL as one schema.
import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { assertValidSchema, buildSchema } from "graphql";

/** here gives the path of a file beside this one. */
export function here(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** read gives the folder's files and the schema that they make up, which must be valid. */
export function read(folder = here("../../schema")) {
  folder = resolve(folder);
  const names = readdirSync(folder).filter((name) => name.endsWith(".graphql")).sort();
  if (names.length === 0) throw new Error(`${folder} holds no .graphql file`);
  const files = names.map((name) => join(folder, name));
  const schema = buildSchema(files.map((file) => readFileSync(file, "utf8")).join("\n"));
  assertValidSchema(schema);
  return { folder, files, schema };
}

/** types gives the schema's own types of a kind, by name. */
export function types(schema, isKind) {
  return Object.values(schema.getTypeMap())
    .filter((type) => isKind(type) && !type.name.startsWith("__"))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** report prints faults, if any, and a last line that says what was looked at; then it ends the process. */
export function report(faults, summary) {
  for (const fault of faults) console.error(fault);
  console.log(`${summary}: ${faults.length} faults`);
  process.exit(faults.length ? 1 : 0);
}
