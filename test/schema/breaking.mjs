// Compares a schema, with graphql-inspector, with the one that clients were last
// given (released.graphql), and fails on a change that breaks them.
//
//   node breaking.mjs [FOLDER OF THE SDL] [RELEASED SDL]
//   node breaking.mjs --release [FOLDER OF THE SDL] [RELEASED SDL]
//
// With --release, a schema that breaks nobody becomes the released one. What was
// released as deprecated may go once the date in its deprecation is over. For a
// break on purpose, remove the released SDL first: that shows in a review.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildASTSchema, buildSchema, parse, printSchema, visit } from "graphql";
import { here, read, report } from "./sdl.mjs";

const { values: { release }, positionals: [folder, released = here("released.graphql")] } = parseArgs({
  allowPositionals: true, options: { release: { type: "boolean", default: false } },
});
const sdl = `${printSchema(read(folder).schema)}\n`;

const promised = existsSync(released) ? stillPromised(readFileSync(released, "utf8")) : undefined;
if (!promised && !release) report([`${released} is missing: run npm run release`], "graphql-inspector");

// Printed and read again, both sides lack the directives that only the server heeds.
const changes = promised ? await diff(promised, buildSchema(sdl)) : [];
const breaking = changes.filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking);
if (release && breaking.length === 0) writeFileSync(released, sdl);
report(
  breaking.map(({ message, path }) => `${path}: ${message}`),
  `graphql-inspector: ${changes.length} changes since the release, breaking`,
);

/** stillPromised is the released schema without what was deprecated until a day that is over. */
function stillPromised(text) {
  const today = new Date().toISOString().slice(0, 10);
  const leave = (node) => {
    const deprecated = node.directives?.find(({ name }) => name.value === "deprecated");
    const date = deprecated?.arguments[0]?.value.value.match(/\d{4}-\d\d-\d\d/)?.[0];
    return date && date < today ? null : undefined;
  };
  const member = { enter: leave };
  const kept = visit(parse(text), { FieldDefinition: member, InputValueDefinition: member, EnumValueDefinition: member });
  return buildASTSchema(reachable(kept));
}

/** reachable leaves out the types that nothing leads to any more. */
function reachable(document) {
  const definitions = new Map(document.definitions.map((definition) => [definition.name?.value, definition]));
  const reached = new Set();
  const reach = (name) => {
    const definition = definitions.get(name);
    if (!definition || reached.has(name)) return;
    reached.add(name);
    visit(definition, { NamedType: (node) => reach(node.name.value) });
    for (const other of document.definitions) {
      if (other.interfaces?.some((implemented) => implemented.name.value === name)) reach(other.name.value);
    }
  };
  for (const root of ["Query", "Mutation", "Subscription"]) reach(root);
  const keep = ({ kind, name }) => !kind.endsWith("TypeDefinition") || reached.has(name.value);
  return { ...document, definitions: document.definitions.filter(keep) };
}
