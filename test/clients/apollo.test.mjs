// Apollo Client, as a chat frontend sets it up.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, test } from "node:test";
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { ErrorLink } from "@apollo/client/link/error";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { getMainDefinition, relayStylePagination } from "@apollo/client/utilities";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { alice, bearer, bob, buy, delay, endpoint, key, newest, promised, purchase, refund, say, souk } from "./souk.mjs";

globalThis.WebSocket ??= WebSocket; // as in browsers; Node.js has it from version 22

const left = [];
afterEach(async () => {
  for (const leave of left.splice(0)) await leave();
});

const cache = () => new InMemoryCache({
  possibleTypes: { MessageCard: ["ProductCard", "ReceiptCard"], FeedSubject: ["Message", "Order"] },
  typePolicies: {
    Viewer: { keyFields: [], fields: { orders: relayStylePagination(["states"]) } }, // there is one
    Conversation: { fields: { messages: relayStylePagination() } },
  },
});

const isSubscription = ({ query }) => getMainDefinition(query).operation === "subscription";

// frontend makes a client. What it sends by HTTP, and the codes of the errors
// that it sees, are kept for the tests to look at.
function frontend({ token = alice, persist = false, fetch: send = fetch, headers } = {}) {
  const seen = { requests: [], codes: [] };
  const http = new HttpLink({
    uri: endpoint,
    headers: { ...bearer(token), ...headers },
    fetch: (url, init) => {
      seen.requests.push({ method: init.method, url: String(url), body: init.body });
      return send(url, init);
    },
  });
  const socket = createClient({ url: endpoint.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams: bearer(token) });
  const errors = new ErrorLink(({ error }) => {
    if (CombinedGraphQLErrors.is(error)) seen.codes.push(...error.errors.map(({ extensions }) => extensions.code));
  });
  const persisted = new PersistedQueryLink({
    sha256: (text) => createHash("sha256").update(text).digest("hex"),
    useGETForHashedQueries: true,
  });
  const client = new ApolloClient({
    cache: cache(),
    clientAwareness: { name: "souk-test", version: "1.0.0" },
    link: ApolloLink.from([
      errors,
      ApolloLink.split(isSubscription, new GraphQLWsLink(socket), persist ? persisted.concat(http) : http),
    ]),
  });
  left.push(async () => {
    client.stop();
    await socket.dispose();
  });
  return { client, seen };
}

const ORDERS = gql`
  query Orders($count: Int!, $cursor: String) {
    viewer {
      orders(first: $count, after: $cursor) {
        edges { cursor node { id state total { amountMinor currency } } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`;

const BUY = gql`
  mutation Buy($input: PurchaseCreateInput!) {
    purchaseCreate(input: $input) {
      order { id state total { amountMinor currency } }
      replayed
      userErrors { code field message retry }
    }
  }
`;

// shown follows a query, and gives the nodes of its list as they are shown once
// there are so many.
function shown(query, list) {
  let nodes = [];
  let check = () => {};
  const watching = query.subscribe(({ data }) => {
    nodes = (data && list(data)?.edges.map(({ node }) => node)) ?? nodes;
    check();
  });
  left.push(() => watching.unsubscribe());
  return (count) => new Promise((resolve) => {
    check = () => nodes.length >= count && resolve(nodes);
    check();
  });
}

test("pages of orders join in the cache", async () => {
  const bought = [souk.order];
  for (let i = 0; i < 4; i++) bought.unshift(await buy());
  const { client, seen } = frontend();
  const orders = client.watchQuery({ query: ORDERS, variables: { count: 2 } });
  const show = shown(orders, ({ viewer }) => viewer.orders);
  const ids = (nodes) => nodes.map(({ id }) => id);
  assert.deepEqual(ids(await show(2)), bought.slice(0, 2));
  for (let count = 2; count < bought.length; count += 2) {
    const { pageInfo } = orders.getCurrentResult().data.viewer.orders;
    assert.equal(pageInfo.hasNextPage, true);
    await orders.fetchMore({ variables: { cursor: pageInfo.endCursor } });
    assert.deepEqual(ids(await show(Math.min(count + 2, bought.length))), bought.slice(0, count + 2));
  }
  assert.equal(orders.getCurrentResult().data.viewer.orders.pageInfo.hasNextPage, false);

  const sent = seen.requests.length;
  const { data } = await client.query({ query: ORDERS, variables: { count: 2 } });
  assert.equal(data.viewer.orders.edges.length, bought.length, "from the cache, all pages");
  assert.equal(seen.requests.length, sent, "nothing is asked again");
});

const MESSAGES = gql`
  query Messages($id: ID!, $count: Int!, $cursor: String) {
    conversation(id: $id) {
      id
      messages(last: $count, before: $cursor) {
        edges { cursor node { id text card { __typename ... on ProductCard { name } ... on ReceiptCard { state amount { amountMinor } } } } }
        pageInfo { hasPreviousPage startCursor }
      }
    }
  }
`;

test("pages of messages join from the end", async () => {
  for (const text of ["a", "b", "c"]) await say(text);
  const { client } = frontend();
  const messages = client.watchQuery({ query: MESSAGES, variables: { id: souk.conversation, count: 2 } });
  const show = shown(messages, ({ conversation }) => conversation.messages);
  assert.deepEqual((await show(2)).map(({ text }) => text), ["b", "c"]);
  const page = () => messages.getCurrentResult().data.conversation.messages;
  while (page().pageInfo.hasPreviousPage) {
    const count = page().edges.length;
    await messages.fetchMore({ variables: { cursor: page().pageInfo.startCursor } });
    await show(count + 1);
  }
  const all = page().edges.map(({ node }) => node);
  assert.deepEqual(all.slice(-3).map(({ text }) => text), ["a", "b", "c"]);
  assert.equal(all.find(({ card }) => card?.__typename === "ReceiptCard").card.state, "PAID");
  assert.ok(all.some(({ card }) => card?.__typename === "ProductCard"));
});

test("a mutation's refusals are data, and its order is in the cache", async () => {
  const { client, seen } = frontend();
  const refused = await client.mutate({ mutation: BUY, variables: { input: purchase({ quantity: 0 }) } });
  assert.deepEqual(refused.data.purchaseCreate.userErrors.map(({ code, field, retry }) => ({ code, field, retry })),
    [{ code: "QUANTITY_INVALID", field: ["quantity"], retry: "NEVER" }]);
  assert.equal(refused.data.purchaseCreate.order, null);

  const input = purchase();
  const bought = await client.mutate({ mutation: BUY, variables: { input } });
  const { order, replayed, userErrors } = bought.data.purchaseCreate;
  assert.deepEqual([order.state, order.total, replayed, userErrors],
    ["PAID", { __typename: "Money", amountMinor: "1250", currency: "EUR" }, false, []]);
  const again = await client.mutate({ mutation: BUY, variables: { input } });
  assert.deepEqual([again.data.purchaseCreate.order.id, again.data.purchaseCreate.replayed], [order.id, true]);
  const kept = client.readFragment({ id: client.cache.identify({ __typename: "Order", id: order.id }), fragment: gql`fragment O on Order { state }` });
  assert.equal(kept.state, "PAID");
  assert.deepEqual(seen.codes, []);
});

test("persisted queries go by their hash", async () => {
  const query = gql(`query Me_${key().replaceAll("-", "")} { viewer { user { id displayName } } }`); // which nobody has asked
  const first = frontend({ persist: true });
  const { data } = await first.client.query({ query });
  assert.ok(data.viewer.user.id);
  assert.deepEqual(first.seen.requests.map(({ method, body }) => [method, JSON.parse(body ?? "{}").query !== undefined]), [["GET", false], ["POST", true]]);
  assert.deepEqual(first.seen.codes, [], "the client got over it by itself");

  const second = frontend({ persist: true }); // of another user's, after a reload
  assert.equal((await second.client.query({ query })).data.viewer.user.id, data.viewer.user.id);
  assert.deepEqual(second.seen.requests.map(({ method }) => method), ["GET"]);

  const bought = await second.client.mutate({ mutation: BUY, variables: { input: purchase() } });
  assert.equal(bought.data.purchaseCreate.order.state, "PAID");
  assert.ok(second.seen.requests.slice(1).every(({ method }) => method === "POST"), "a mutation is never sent by GET");
});

// multipart sends a request as the multipart request specification has it: that
// is what upload links do, which Apollo's own is not.
const multipart = (url, { body, headers, ...init }) => {
  const form = new FormData();
  form.append("operations", body);
  form.append("map", "{}");
  return fetch(url, { ...init, body: form, headers: Object.fromEntries(Object.entries(headers).filter(([name]) => name !== "content-type")) });
};

test("a form needs the preflight header", async () => {
  const query = gql`{ viewer { mode } }`;
  for (const headers of [{ "Apollo-Require-Preflight": "true" }, { "GraphQL-Preflight": "1" }]) {
    const { data } = await frontend({ fetch: multipart, headers }).client.query({ query });
    assert.equal(data.viewer.mode, "SANDBOX");
  }
  const { client } = frontend({ fetch: multipart });
  await assert.rejects(client.query({ query }), /preflight|400/i);
});

test("the error link sees the codes of what went wrong", async () => {
  for (const [options, query, code] of [
    [{ token: "bad" }, gql`{ viewer { mode } }`, "UNAUTHENTICATED"],
    [{}, gql`{ nothing }`, "VALIDATION_FAILED"],
    [{}, gql`{ viewer { orders(first: 101) { nodes { id } } } }`, "PAGE_SIZE_INVALID"],
    [{}, gql`{ viewer { orders(first: 1, after: "forged") { nodes { id } } } }`, "CURSOR_INVALID"],
    [{}, gql`{ userByExternalId(externalId: "bob") { id } }`, "FORBIDDEN"],
  ]) {
    const { client, seen } = frontend(options);
    await assert.rejects(client.query({ query }), (error) => CombinedGraphQLErrors.is(error));
    assert.deepEqual(seen.codes, [code]);
  }
});

test("what fails in part is shown in part", async () => {
  const { client } = frontend();
  const { data, error } = await client.query({
    query: gql`{ viewer { mode orders(first: 1, after: "forged") { nodes { id } } } }`,
    errorPolicy: "all",
  });
  assert.equal(data.viewer.mode, "SANDBOX");
  assert.equal(data.viewer.orders, null);
  assert.deepEqual(error.errors[0].path, ["viewer", "orders"]);
});

test("a subscription by socket changes what is shown", async () => {
  const { client } = frontend();
  const id = await buy();
  const states = [];
  const refunded = promised();
  const showing = client.watchQuery({ query: gql`query Order($id: ID!) { order(id: $id) { id state } }`, variables: { id } }).subscribe(({ data }) => {
    if (!data?.order) return;
    states.push(data.order.state);
    if (data.order.state === "REFUNDED") refunded.keep();
  });
  const live = promised();
  const following = client.subscribe({ query: gql`subscription { orderUpdated { cursor order { id state } } }` }).subscribe({ next: live.keep });
  left.push(() => { showing.unsubscribe(); following.unsubscribe(); });
  for (let came = false; !came; came = await Promise.race([live.promise.then(() => true), delay(250)])) await buy();
  await refund(id);
  await refunded.promise;
  assert.deepEqual([...new Set(states)], ["PAID", "REFUNDED"]);
});

test("subscriptions of two operations share a socket, and end with unsubscribe", async () => {
  const { client } = frontend({ token: bob });
  const query = gql`
    subscription Messages($id: ID!, $after: String) { messageAdded(conversationId: $id, after: $after) { cursor node { id text } } }
  `;
  const variables = { id: souk.conversation, after: await newest() };
  const heard = [];
  const both = promised();
  const follow = (name) => client.subscribe({ query, variables }).subscribe(({ data }) => {
    heard.push([name, data.messageAdded.node.text]);
    if (heard.length === 2) both.keep();
  });
  const one = follow("one");
  const other = follow("other");
  await say("Hear, hear.");
  await both.promise;
  assert.deepEqual(heard.sort(), [["one", "Hear, hear."], ["other", "Hear, hear."]]);
  one.unsubscribe();
  other.unsubscribe();
});

test("a subscription's error has its code", async () => {
  const { client, seen } = frontend();
  const failed = promised();
  client.subscribe({ query: gql`subscription { feed(after: "forged") { cursor } }` }).subscribe({ next: failed.keep, error: failed.keep });
  assert.ok(CombinedGraphQLErrors.is((await failed.promise).error));
  assert.deepEqual(seen.codes, ["CURSOR_INVALID"]);
});
