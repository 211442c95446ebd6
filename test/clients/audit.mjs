// Audits an endpoint with graphql-http's server audits, the measure of the
// GraphQL over HTTP specification:
//
//   npm ci && node audit.mjs http://127.0.0.1:8080/graphql
//
// Prints one line for each audit that fails, and a count of each level. Any
// failure, MAY included, makes it exit with 1.
import { serverAudits } from "graphql-http";

const url = process.argv[2];
if (!url) {
  console.error("usage: node audit.mjs URL");
  process.exit(2);
}

const counts = {};
let failed = 0;
for (const audit of serverAudits({ url })) {
  const result = await audit.fn();
  const level = audit.name.match(/^(MUST|SHOULD|MAY)/)[0];
  counts[level] ??= { ok: 0, failed: 0 };
  if (result.status === "ok") {
    counts[level].ok++;
    continue;
  }
  counts[level].failed++;
  failed++;
  console.log(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
}
for (const [level, { ok, failed }] of Object.entries(counts)) {
  console.log(`${level}: ${ok} passed, ${failed} failed`);
}
process.exit(failed ? 1 : 0);
