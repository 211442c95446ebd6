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
import { alice, bearer, buy, delay, desk, endpoint, promised, purchase, refund, souk } from "./souk.mjs";

const { Environment, Network, Observable, RecordSource, Store, commitMutation, createOperationDescriptor, fetchQuery, getSingularSelector, requestSubscription } = relay;

const name = "chat-web"; // of the frontend, in Souk's list
const dir = mkdtempSync(join(tmpdir(), "souk-relay-"));
const artifacts = {};
after(() => rmSync(dir, { recursive: true }));

const compiler = {
  src: "./relay",
  schema: join(dir, "schema.graphql"),
  language: "javascript",
  eagerEsModules: true,
  persistConfig: { file: join(dir, "documents.json"), algorithm: "SHA256" },
};

before(async () => {
  writeFileSync(compiler.schema, printSchema(buildSchema(souk.schema)));
  writeFileSync(compiler.persistConfig.file, "{}");
  writeFileSync("relay.config.json", JSON.stringify({ ...compiler, schema: compiler.schema }));
  execFileSync(process.execPath, ["node_modules/relay-compiler/cli.js", "relay.config.json"], { stdio: "pipe" });
  for (const query of ["Query", "NodeQuery", "BuyMutation", "UpdatedSubscription"]) {
    artifacts[query] = (await import(`./relay/__generated__/Orders${query}.graphql.js`)).default;
  }
});

// trust has Souk run the compiled documents, and nothing else.
async function trust() {
  const trusted = join(dir, "trusted.json");
  writeFileSync(trusted, JSON.stringify({ [name]: JSON.parse(readFileSync(compiler.persistConfig.file, "utf8")) }));
  await desk("stop");
  await desk("start", { trusted });
}

test("all of it", async (t) => {
  const bought = [souk.order];
  for (let i = 0; i < 4; i++) bought.unshift(await buy());
  await trust();

  const sent = [];
  const send = async (body, headers = { "GraphQL-Client-Name": name }) => {
    const response = await fetch(endpoint, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/graphql-response+json", ...bearer(alice), ...headers },
      body: JSON.stringify(body),
    });
    return response.json();
  };
  const socket = createClient({
    url: endpoint.replace("http", "ws"),
    webSocketImpl: WebSocket,
    connectionParams: { ...bearer(alice), "GraphQL-Client-Name": name },
  });
  t.after(() => socket.dispose());
  const environment = new Environment({
    store: new Store(new RecordSource()),
    network: Network.create(
      ({ id, text, name }, variables) => {
        sent.push({ id, text });
        return send({ id, operationName: name, variables });
      },
      ({ id, name }, variables) => Observable.create((sink) => socket.subscribe({ id, operationName: name, variables }, sink)),
    ),
  });
  const ask = (query, variables) => fetchQuery(environment, query, variables).toPromise();

  await t.test("a query is sent as its id", async () => {
    const data = await ask(artifacts.Query, { count: 2, cursor: null });
    assert.ok(data.viewer.user.displayName);
    assert.equal(sent[0].text, null);
    assert.match(sent[0].id, /^[0-9a-f]{64}$/);
  });

  await t.test("the pages of a connection join in the store", async () => {
    const operation = createOperationDescriptor(artifacts.Query, { count: 2, cursor: null });
    const keep = environment.retain(operation);
    const fragment = (await import("./relay/__generated__/Orders_viewer.graphql.js")).default;
    const orders = () => {
      const { viewer } = environment.lookup(operation.fragment).data;
      return environment.lookup(getSingularSelector(fragment, viewer)).data.orders;
    };
    for (let { pageInfo } = orders(); pageInfo.hasNextPage; { pageInfo } = orders()) {
      await ask(artifacts.Query, { count: 2, cursor: pageInfo.endCursor });
    }
    assert.deepEqual(orders().edges.map(({ node }) => node.id), bought);
    keep.dispose();
  });

  await t.test("an order is refetched by its id", async () => {
    const { node } = await ask(artifacts.NodeQuery, { id: souk.order });
    assert.equal(node.__typename, "Order");
    assert.equal(environment.getStore().getSource().get(souk.order).state, "PAID");
  });

  const buyHere = (over) => new Promise((onCompleted, onError) =>
    commitMutation(environment, { mutation: artifacts.BuyMutation, variables: { input: purchase(over) }, onCompleted, onError }));

  await t.test("a mutation's refusals are data", async () => {
    const { purchaseCreate } = await buyHere({ quantity: 0 });
    assert.deepEqual(purchaseCreate, { order: null, userErrors: [{ code: "QUANTITY_INVALID", retry: "NEVER" }] });
  });

  await t.test("a subscription changes the store", async () => {
    const live = promised();
    const refunded = promised();
    let id;
    const following = requestSubscription(environment, {
      subscription: artifacts.UpdatedSubscription,
      variables: {},
      onNext: ({ orderUpdated }) => {
        live.keep(true);
        if (orderUpdated.order.id === id && orderUpdated.order.state === "REFUNDED") refunded.keep();
      },
      onError: (error) => assert.fail(error),
    });
    for (let came; !came; came = await Promise.race([live.promise, delay(250)])) await buyHere();
    ({ id } = (await buyHere()).purchaseCreate.order);
    // The merchant's server is no browser, but here it may not send what it likes either.
    await assert.rejects(refund(id), /TRUSTED_DOCUMENTS_ONLY/);
    await desk("stop");
    await desk("start");
    await refund(id);
    following.dispose();
  });

  await trust();
  for (const [what, body, headers, code] of [
    ["another document", { query: "{ viewer { mode } }" }, undefined, "FORBIDDEN"],
    ["an unknown id", { id: "0".repeat(64) }, undefined, "PERSISTED_QUERY_NOT_FOUND"],
    ["another client's id", { id: artifacts.Query.params.id }, { "GraphQL-Client-Name": "chat-ios" }, "PERSISTED_QUERY_NOT_FOUND"],
    ["nobody's id", { id: artifacts.Query.params.id }, {}, "PERSISTED_QUERY_NOT_FOUND"],
  ]) {
    await t.test(`${what} does not run`, async () => {
      const { errors } = await send(body, headers);
      assert.equal(errors[0].extensions.code, code);
    });
  }
});
