// GraphQL over HTTP, as graphql-http audits it, against all of Souk: with a
// caller, and without one. Every audit is a test, whatever its level.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from "graphql";
import { serverAudits } from "graphql-http";
import { alice, ask, bearer, endpoint, souk } from "./souk.mjs";

const callers = {
  "without a token": fetch,
  "as Alice": (url, init) => fetch(url, { ...init, headers: { ...init?.headers, ...bearer(alice) } }),
};

for (const [caller, fetchFn] of Object.entries(callers)) {
  describe(caller, () => {
    for (const audit of serverAudits({ url: endpoint, fetchFn })) {
      test(`${audit.id} ${audit.name}`, async () => {
        const result = await audit.fn();
        assert.equal(result.status, "ok", result.reason);
      });
    }
  });
}

test("the served schema is the written one", async () => {
  const told = await ask(alice, getIntrospectionQuery({ specifiedByUrl: true, directiveIsRepeatable: true, inputValueDeprecation: true }));
  const print = (schema) => printSchema(lexicographicSortSchema(schema));
  assert.equal(print(buildClientSchema(told)), print(buildSchema(souk.schema)));
});
