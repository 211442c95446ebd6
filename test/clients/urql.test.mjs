// urql, with subscriptions as event streams: by graphql-sse, and by its own.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Client, cacheExchange, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { createClient } from "graphql-sse";
import { alice, bearer, buy, delay, endpoint, key, newest, promised, purchase, say, souk } from "./souk.mjs";

const left = [];
afterEach(() => {
  for (const leave of left.splice(0)) leave();
});

// frontend makes a client; what it sends is kept for the tests to look at.
function frontend({ token = alice, before = [], ...options } = {}) {
  const requests = [];
  const client = new Client({
    url: endpoint,
    preferGetMethod: false,
    fetchOptions: { headers: bearer(token) },
    fetch: (url, init) => {
      requests.push({ method: init.method, url: String(url), body: init.body });
      return fetch(url, init);
    },
    exchanges: [cacheExchange, ...before, fetchExchange],
    ...options,
  });
  return { client, requests };
}

// byEvents is the exchange of the recipe of graphql-sse.
function byEvents(token = alice) {
  const events = createClient({ url: endpoint, headers: bearer(token) });
  left.push(() => events.dispose());
  return subscriptionExchange({
    forwardSubscription: ({ query, variables }) => ({
      subscribe: (sink) => ({ unsubscribe: events.subscribe({ query, variables }, sink) }),
    }),
  });
}

const ORDERS = gql`
  query Orders($count: Int!, $cursor: String) {
    viewer {
      orders(first: $count, after: $cursor) { nodes { id state } pageInfo { hasNextPage endCursor } }
    }
  }
`;
const BUY = gql`
  mutation Buy($input: PurchaseCreateInput!) {
    purchaseCreate(input: $input) { order { id state } replayed userErrors { code field retry } }
  }
`;
const FEED = gql`
  subscription Feed($after: String) {
    feed(after: $after) { cursor subject { __typename ... on Message { id text } ... on Order { id state } } }
  }
`;
const MESSAGES = gql`
  subscription Messages($id: ID!, $after: String) { messageAdded(conversationId: $id, after: $after) { cursor node { id text } } }
`;

test("a mutation makes the cache ask anew", async () => {
  const { client, requests } = frontend();
  const show = () => client.query(ORDERS, { count: 1 });
  const first = await show();
  assert.equal(first.error, undefined);
  const again = await show();
  assert.deepEqual([again.data, requests.length], [first.data, 1], "from the cache");
  const bought = await client.mutation(BUY, { input: purchase() });
  assert.deepEqual(bought.data.purchaseCreate.userErrors, []);
  const after = await show();
  assert.equal(after.data.viewer.orders.nodes[0].id, bought.data.purchaseCreate.order.id);
  assert.equal(requests.length, 3);
});

test("pages follow one another", async () => {
  for (let i = 0; i < 3; i++) await buy();
  const { client } = frontend();
  const ids = new Set();
  let cursor = null;
  do {
    const { data } = await client.query(ORDERS, { count: 2, cursor });
    data.viewer.orders.nodes.forEach(({ id }) => ids.add(id));
    cursor = data.viewer.orders.pageInfo.hasNextPage ? data.viewer.orders.pageInfo.endCursor : null;
  } while (cursor);
  assert.ok(ids.has(souk.order) && ids.size >= 4);
});

test("refusals are data, faults are errors with a code", async () => {
  const { client } = frontend();
  const refused = await client.mutation(BUY, { input: purchase({ quantity: 1001 }) });
  assert.equal(refused.error, undefined);
  assert.deepEqual(refused.data.purchaseCreate.userErrors, [{ __typename: "PurchaseUserError", code: "QUANTITY_INVALID", field: ["quantity"], retry: "NEVER" }]);

  const invalid = await client.query(gql`{ nothing }`, {});
  assert.equal(invalid.error.graphQLErrors[0].extensions.code, "VALIDATION_FAILED");
  const stranger = await frontend({ token: "bad" }).client.query(ORDERS, { count: 1 });
  assert.equal(stranger.error.response.status, 401);
  assert.equal(stranger.error.graphQLErrors[0].extensions.code, "UNAUTHENTICATED");
});

test("queries go by GET where that is preferred, mutations never", async () => {
  const { client, requests } = frontend({ preferGetMethod: "within-url-limit" });
  assert.equal((await client.query(ORDERS, { count: 1 })).error, undefined);
  assert.equal((await client.mutation(BUY, { input: purchase() })).error, undefined);
  assert.deepEqual(requests.map(({ method }) => method), ["GET", "POST"]);
});

test("persisted queries go by their hash", async () => {
  const query = gql`query Me_${key().replaceAll("-", "")} { viewer { user { id } } }`;
  const persist = () => frontend({ before: [persistedExchange({ preferGetForPersistedQueries: true, enableForMutation: true })] });
  const first = persist();
  const { data, error } = await first.client.query(query, {});
  assert.equal(error, undefined);
  assert.ok(data.viewer.user.id);
  assert.equal(first.requests.length, 2, "once by hash, once with the text");
  const second = persist();
  assert.deepEqual((await second.client.query(query, {})).data, data);
  assert.deepEqual(second.requests.map(({ method, url }) => [method, url.includes("viewer")]), [["GET", false]]);
  const bought = await second.client.mutation(BUY, { input: purchase() });
  assert.equal(bought.data.purchaseCreate.order.state, "PAID");
});

for (const [how, options] of [
  ["graphql-sse", () => ({ before: [byEvents()] })],
  ["urql's own fetch", () => ({ fetchSubscriptions: true })],
]) {
  test(`subscriptions by ${how}`, async () => {
    const { client } = frontend(options());
    const heard = [];
    const all = promised();
    const { unsubscribe } = client.subscription(MESSAGES, { id: souk.conversation, after: await newest() }).subscribe(({ data, error }) => {
      heard.push(error ?? data.messageAdded.node.text);
      if (heard.length === 3) all.keep();
    });
    for (const text of ["One.", "Two.", "Three."]) await say(text);
    await all.promise;
    assert.deepEqual(heard, ["One.", "Two.", "Three."]);
    unsubscribe();
    await say("Nobody listens.");
    assert.equal(heard.length, 3);
  });

  test(`the feed by ${how}`, async () => {
    const { client } = frontend(options());
    const paid = promised();
    const { unsubscribe } = client.subscription(FEED, {}).subscribe(({ data }) => {
      if (data.feed.subject?.__typename === "Order") paid.keep(data.feed.subject);
    });
    for (let came; !came; came = await Promise.race([paid.promise, delay(250)])) await buy();
    assert.equal((await paid.promise).state, "PAID");
    unsubscribe();
  });

  test(`a subscription's error by ${how}`, async () => {
    const failed = promised();
    frontend(options()).client.subscription(FEED, { after: "forged" }).subscribe(({ error }) => error && failed.keep(error));
    const error = await failed.promise;
    assert.equal(error.graphQLErrors[0].extensions.code, "CURSOR_INVALID");
  });
}
