// Relay: relay-compiler makes artifacts and a list of documents, Souk runs these
// documents only, and relay-runtime names them by their ids.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { buildSchema, printSchema } from "graphql";
import { createClient } from "graphql-ws";
import relay from "relay-runtime";
import WebSocket from "ws";
import { alice, ask as askFreely, bearer, buy, client, delay, desk, endpoint, mutation, promised, purchase, refund, souk } from "./souk.mjs";

const { Environment, Network, Observable, RecordSource, Store } = relay;
const { commitMutation, createOperationDescriptor, fetchQuery, getSingularSelector, requestSubscription } = relay;

const frontend = "chat-web"; // its name in Souk's list
const dir = mkdtempSync(join(tmpdir(), "souk-relay-"));
const artifact = async (name) => (await import(`./relay/__generated__/Orders${name}.graphql.js`)).default;
const bought = [souk.order];
let Query, Viewer, Refetch, Buy, Updated;

before(async () => {
  for (let i = 0; i < 4; i++) bought.unshift(await buy());
  const documents = join(dir, "documents.json");
  compile(documents);
  [Query, Viewer, Refetch, Buy, Updated] = await Promise.all(["Query", "_viewer", "RefetchQuery", "BuyMutation", "UpdatedSubscription"].map(artifact));
  const trusted = join(dir, "trusted.json");
  writeFileSync(trusted, JSON.stringify({
    [frontend]: JSON.parse(readFileSync(documents, "utf8")),
    [client]: { refund: mutation("purchaseRefund", "order { state }") }, // of the merchant
  }));
  await desk("stop");
  await desk("start", { trusted });
});

after(async () => {
  rmSync(dir, { recursive: true });
  await socket.dispose();
});

// compile makes the artifacts, and the list of what they will send.
function compile(documents) {
  const schema = join(dir, "schema.graphql");
  writeFileSync(schema, printSchema(buildSchema(souk.schema)));
  writeFileSync(documents, "{}");
  const config = { src: "./relay", schema, language: "javascript", eagerEsModules: true, persistConfig: { file: documents, algorithm: "SHA256" } };
  writeFileSync("relay.config.json", JSON.stringify(config));
  execFileSync(process.execPath, ["node_modules/relay-compiler/cli.js", "relay.config.json"], { stdio: "pipe" });
}

async function send(body, headers = { "GraphQL-Client-Name": frontend }) {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json", ...bearer(alice), ...headers },
    body: JSON.stringify(body),
  });
  return response.json();
}

const socket = createClient({
  url: endpoint.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: { ...bearer(alice), "GraphQL-Client-Name": frontend },
});

const environment = new Environment({
  store: new Store(new RecordSource()),
  network: Network.create(
    ({ id, text, name }, variables) => {
      assert.equal(text, null, "the build took the text away");
      return send({ id, operationName: name, variables });
    },
    // graphql-ws wants a query; an empty one is none.
    ({ id, name }, variables) => Observable.create((sink) => socket.subscribe({ id, query: "", operationName: name, variables }, sink)),
  ),
});

const ask = (query, variables) => fetchQuery(environment, query, variables).toPromise();
const buyHere = (over) => new Promise((onCompleted, onError) => {
  commitMutation(environment, { mutation: Buy, variables: { input: purchase(over) }, onCompleted, onError });
});
const stored = (id) => environment.getStore().getSource().get(id);

test("a query runs by its id, and its pages join in the store", async (t) => {
  const variables = { count: 2, cursor: null };
  const operation = createOperationDescriptor(Query, variables);
  const kept = environment.retain(operation);
  t.after(() => kept.dispose());
  const { viewer } = await ask(Query, variables);
  assert.ok(viewer.user.displayName);
  const orders = () => environment.lookup(getSingularSelector(Viewer, environment.lookup(operation.fragment).data.viewer)).data.orders;
  while (orders().pageInfo.hasNextPage) {
    await ask(Query, { ...variables, cursor: orders().pageInfo.endCursor });
  }
  assert.deepEqual(orders().edges.map(({ node }) => node.id), bought);
});

test("an order is refetched by its id", async () => {
  await ask(Refetch, { id: souk.order });
  assert.equal(stored(souk.order).state, "PAID");
});

test("a mutation's refusals are data", async () => {
  assert.deepEqual((await buyHere({ quantity: 0 })).purchaseCreate, { order: null, userErrors: [{ code: "QUANTITY_INVALID", retry: "NEVER" }] });
});

test("a subscription by id changes the store", async (t) => {
  const live = promised();
  const refunded = promised();
  const following = requestSubscription(environment, {
    subscription: Updated,
    variables: {},
    onNext: ({ orderUpdated: { order } }) => {
      live.keep(true);
      if (order.state === "REFUNDED") refunded.keep(order.id);
    },
    onError: (error) => assert.fail(error),
  });
  t.after(() => following.dispose());
  let last;
  for (let came; !came; came = await Promise.race([live.promise, delay(250)])) last = (await buyHere()).purchaseCreate.order;
  assert.equal(stored(last.id).state, "PAID");
  await refund(last.id);
  assert.equal(await refunded.promise, last.id);
  assert.equal(stored(last.id).state, "REFUNDED");
});

test("no other document runs", async () => {
  await assert.rejects(askFreely(alice, "{ viewer { mode } }"), /TRUSTED_DOCUMENTS_ONLY/);
  const { id } = Query.params;
  for (const [what, body, headers, code] of [
    ["another text", { query: "{ viewer { mode } }" }, undefined, "FORBIDDEN"],
    ["an unknown id", { id: "0".repeat(64) }, undefined, "PERSISTED_QUERY_NOT_FOUND"],
    ["another client's id", { id }, { "GraphQL-Client-Name": client }, "PERSISTED_QUERY_NOT_FOUND"],
    ["an id without a client", { id }, {}, "PERSISTED_QUERY_NOT_FOUND"],
  ]) {
    const { errors } = await send(body, headers);
    assert.equal(errors[0].extensions.code, code, what);
  }
});
