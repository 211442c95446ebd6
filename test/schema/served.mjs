// Compares the schema that a server tells of itself with the SDL: types, fields,
// arguments, defaults, descriptions and deprecations. Exits with 1 if they differ.
//
//   node served.mjs URL [TOKEN] [FOLDER OF THE SDL]
import { diff } from "@graphql-inspector/core";
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from "graphql";
import { read, report } from "./sdl.mjs";

const [url, token, folder] = process.argv.slice(2);
if (!url) {
  console.error("usage: node served.mjs URL [TOKEN] [FOLDER OF THE SDL]");
  process.exit(2);
}

// Sorted and printed, both sides lack the directives that only the server heeds.
const written = printSchema(lexicographicSortSchema(read(folder).schema));
const served = printSchema(lexicographicSortSchema(buildClientSchema(await introspect())));

const changes = written === served ? [] : await diff(buildSchema(written), buildSchema(served));
const faults = changes.map(({ message, path }) => `${path ?? ""}: ${message}`);
if (written !== served && faults.length === 0) faults.push(firstDifference(written.split("\n"), served.split("\n")));
report(faults, "served schema against the SDL");

async function introspect() {
  const query = getIntrospectionQuery({ specifiedByUrl: true, directiveIsRepeatable: true, inputValueDeprecation: true });
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json", accept: "application/graphql-response+json, application/json",
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  try {
    const { data, errors } = JSON.parse(text);
    if (data && !errors) return data;
  } catch {
    // not JSON: shown as it is
  }
  return report([`${url} answered ${response.status}: ${text.slice(0, 1000)}`], "introspection");
}

function firstDifference(a, b) {
  const i = a.findIndex((line, n) => line !== b[n]);
  return `line ${i + 1}: the SDL says ${JSON.stringify(a[i])}, the server ${JSON.stringify(b[i])}`;
}
