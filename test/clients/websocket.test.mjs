// graphql-ws, the client of the GraphQL over WebSocket protocol.
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import {
  Line, alice, ask, bearer, bob, buy, delay, desk, endpoint, feed, messageAdded, mutate, newest, orderUpdated, promised, prompted, purchase, refund, rest, say, souk, until,
} from "./souk.mjs";

const open = [];
afterEach(async () => {
  for (const client of open.splice(0)) await client.dispose();
});

// client is one as a frontend makes it.
function client({ token = alice, url = endpoint, ...options } = {}) {
  const made = createClient({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    connectionParams: () => bearer(token),
    retryAttempts: 3,
    retryWait: () => delay(10),
    shouldRetry: () => true,
    ...options,
  });
  open.push(made);
  return made;
}

const inConversation = (after) => ({ query: messageAdded, variables: { conversationId: souk.conversation, after } });

// watched tells how often a client connects, and how its connections close.
function watched(c) {
  const seen = { connections: 0, closes: [] };
  c.on("opened", () => seen.connections++);
  c.on("closed", ({ code, reason }) => seen.closes.push({ code, reason }));
  return seen;
}

test("one socket carries queries, mutations and subscriptions", async () => {
  const c = client();
  const seen = watched(c);
  const messages = c.iterate(inConversation(await newest()));
  const [{ data }] = await rest(c.iterate({ query: "{ viewer { user { displayName } } }" }));
  assert.ok(data.viewer.user.displayName);
  const [sent] = await rest(c.iterate({
    query: "mutation ($input: MessageSendInput!) { messageSend(input: $input) { message { text } userErrors { code } } }",
    variables: { input: { conversationId: souk.conversation, text: "By socket.", idempotencyKey: "by socket" } },
  }));
  assert.deepEqual(sent.data.messageSend, { message: { text: "By socket." }, userErrors: [] });
  const { value } = await messages.next();
  assert.equal(value.data.messageAdded.node.text, "By socket.");
  assert.equal(seen.connections, 1);
});

test("messages come as they are written", async () => {
  const messages = client().iterate(inConversation(await newest()));
  const texts = ["One.", "Two.", "Three: 10 € — 茶 🍵 \u2028."];
  for (const text of texts) await say(text);
  for (const text of texts) {
    const { value } = await messages.next();
    assert.equal(value.data.messageAdded.node.text, text);
    assert.ok(value.data.messageAdded.cursor);
  }
  await messages.return();
});

test("orders come as they change", async () => {
  const updates = client().iterate({ query: orderUpdated });
  const first = await prompted(updates, buy);
  assert.equal(first.data.orderUpdated.order.state, "PAID");
  const id = await buy();
  await until(updates, ({ data }) => data.orderUpdated.order.id === id && data.orderUpdated.order.state === "PAID");
  await refund(id);
  await until(updates, ({ data }) => data.orderUpdated.order.id === id && data.orderUpdated.order.state === "REFUNDED");
  await updates.return();
});

test("the feed tells of messages and orders", async () => {
  const events = client().iterate({ query: feed });
  await prompted(events, () => say("Anybody there?"));
  await say("Tea?");
  await until(events, ({ data }) => data.feed.subject?.text === "Tea?");
  const id = await buy();
  const paid = await until(events, ({ data }) => data.feed.subject?.__typename === "Order");
  assert.deepEqual(paid.data.feed.subject, { __typename: "Order", id, state: "PAID" });
  await events.return();
});

for (const [name, document, variables, act] of [
  ["messageAdded", messageAdded, { conversationId: souk.conversation }, say],
  ["orderUpdated", orderUpdated, {}, buy],
  ["feed", feed, {}, say],
]) {
  test(`${name} resumes after the line is cut`, async (t) => {
    const line = await new Line().open();
    t.after(() => line.close());
    const mayRetry = promised();
    const c = client({ url: line.url, retryWait: () => mayRetry.promise });
    const seen = watched(c);
    // What is sent again after a retry carries the cursor of what came last.
    const payload = { query: document, variables: { ...variables } };
    const stream = c.iterate(payload);
    const cursors = [];
    const read = ({ data }) => {
      payload.variables.after = data[name].cursor;
      cursors.push(data[name].cursor);
      return data[name];
    };
    read(await prompted(stream, () => act("Before the tunnel.")));

    const closed = promised();
    c.on("closed", closed.keep);
    line.cut();
    await closed.promise;
    const missed = [await act("In the tunnel."), await act("Still in it.")];
    mayRetry.keep();
    const wanted = missed.map((made) => made.message?.id ?? made);
    const came = [];
    while (!wanted.every((id) => came.includes(id))) {
      const item = read((await stream.next()).value);
      came.push((item.node ?? item.order ?? item.subject).id);
    }
    assert.deepEqual(came.filter((id) => wanted.includes(id)), wanted, "once each, in order");
    assert.equal(new Set(cursors).size, cursors.length, "nothing came twice");
    assert.equal(seen.connections, 2);
    await stream.return();
  });
}

// refused connects with a token that is good for nothing: Souk closes with a code
// after which no client comes back, however stubborn.
async function refused(connectionParams) {
  const c = client({ connectionParams, retryAttempts: Infinity });
  const seen = watched(c);
  const again = promised();
  c.on("connecting", (isRetry) => isRetry && again.keep("it comes back"));
  const ended = rest(c.iterate({ query: feed })).catch(({ code, reason }) => `${code} ${reason}`);
  assert.equal(await Promise.race([ended, again.promise]), "4401 Unauthorized");
  assert.equal(await Promise.race([delay(300, "it stays away"), again.promise]), "it stays away");
  assert.deepEqual(seen, { connections: 1, closes: [{ code: 4401, reason: "Unauthorized" }] });
}

test("a bad token closes once", () => refused(bearer("bad")));
test("an expired token closes once", async () => {
  const token = await desk("token", { subject: "alice", seconds: 1 });
  await delay(1100);
  await refused(bearer(token));
});
test("no token closes once", () => refused(undefined));

test("an operation before the connection is acknowledged closes", async () => {
  const socket = new WebSocket(endpoint.replace("http", "ws"), "graphql-transport-ws");
  await once(socket, "open");
  socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query: "{ viewer { mode } }" } }));
  const [code] = await once(socket, "close");
  assert.equal(code, 4401);
});

test("a connection without the protocol closes", async () => {
  const socket = new WebSocket(endpoint.replace("http", "ws"));
  const [code] = await once(socket, "close");
  assert.equal(code, 4406);
});

test("the end of a token ends its subscriptions", async () => {
  const c = client({ token: await desk("token", { subject: "alice", seconds: 2 }) });
  const seen = watched(c);
  await assert.rejects(rest(c.iterate({ query: feed })), { code: 4401 });
  assert.equal(seen.connections, 1);
});

test("a revoked token ends its subscriptions, and no others", async () => {
  const token = await desk("token", { subject: "alice" });
  const other = client().iterate(inConversation(await newest()));
  const c = client({ token });
  const stream = c.iterate({ query: feed });
  await prompted(stream, () => say("Still me."));
  await mutate(token, "tokenRevoke", "clientMutationId", {});
  await assert.rejects(rest(stream), { code: 4401 });
  await say("And I am still here.");
  await until(other, ({ data }) => data.messageAdded.node.text === "And I am still here.");
  await other.return();
});

test("a new token goes on where the old one ended", async () => {
  const tokens = [alice, await desk("token", { subject: "alice" })];
  const c = client({ connectionParams: () => bearer(tokens.shift()) });
  const renewed = promised();
  c.on("connected", (socket) => {
    if (tokens.length === 0) return renewed.keep();
    setTimeout(() => socket.close(4205, "Client Restart"), 200); // before the old one ends, as graphql-ws's recipe has it
  });
  const payload = inConversation(await newest());
  const stream = c.iterate(payload);
  await say("With the old token.");
  const { value } = await stream.next();
  payload.variables.after = value.data.messageAdded.cursor;
  await renewed.promise;
  await say("With the new token.");
  assert.equal((await stream.next()).value.data.messageAdded.node.text, "With the new token.");
  await stream.return();
});

test("pings are answered in both directions", async () => {
  const pong = promised();
  const serverPing = promised();
  const c = client({ keepAlive: 50 });
  c.on("pong", (received) => received && pong.keep());
  c.on("opened", (socket) => socket.on("ping", serverPing.keep)); // WebSocket's own
  const stream = c.iterate({ query: feed });
  const next = stream.next();
  next.catch(() => {});
  await pong.promise;
  await serverPing.promise;
  await stream.return();
});

test("what is wrong with an operation is told by code, and leaves the socket open", async () => {
  const c = client();
  const seen = watched(c);
  const keep = c.iterate({ query: feed });
  keep.next().catch(() => {});
  for (const [query, variables, code] of [
    ["{ nothing }", {}, "VALIDATION_FAILED"],
    ["{ viewer", {}, "VALIDATION_FAILED"],
    [feed, { after: 7 }, "VALIDATION_FAILED"],
    [feed, { after: "forged" }, "CURSOR_INVALID"],
    [orderUpdated, { after: "forged" }, "CURSOR_INVALID"],
    [messageAdded, { conversationId: souk.order }, "CONVERSATION_NOT_FOUND"],
    [messageAdded, { conversationId: souk.conversation, after: "forged" }, "CURSOR_INVALID"],
  ]) {
    await assert.rejects(rest(c.iterate({ query, variables })), ([error]) => error.extensions.code === code, query);
  }
  assert.deepEqual(seen, { connections: 1, closes: [] });
  await keep.return();
});

test("a refusal comes in the payload", async () => {
  const [{ data }] = await rest(client().iterate({
    query: "mutation ($input: PurchaseCreateInput!) { purchaseCreate(input: $input) { order { id } userErrors { code field retry } } }",
    variables: { input: purchase({ quantity: 0 }) },
  }));
  assert.deepEqual(data.purchaseCreate, { order: null, userErrors: [{ code: "QUANTITY_INVALID", field: ["quantity"], retry: "NEVER" }] });
});

test("a stranger's conversation cannot be followed", async () => {
  const mallory = await desk("token", { subject: "mallory" });
  const { conversation } = await ask(mallory, "query ($id: ID!) { conversation(id: $id) { title } }", { id: souk.conversation });
  assert.equal(conversation, null);
  await assert.rejects(rest(client({ token: mallory }).iterate(inConversation())), ([error]) => error.extensions.code === "CONVERSATION_NOT_FOUND");
});

test("subscriptions go on when the server comes back", async () => {
  const c = client({ token: bob, retryAttempts: Infinity });
  const seen = watched(c);
  const payload = inConversation(await newest());
  const stream = c.iterate(payload);
  await say("Before the restart.");
  payload.variables.after = (await stream.next()).value.data.messageAdded.cursor;
  await desk("stop");
  await desk("start");
  await say("After the restart.");
  assert.equal((await stream.next()).value.data.messageAdded.node.text, "After the restart.");
  assert.deepEqual(seen.closes[0], { code: 1001, reason: "Going away" });
  await stream.return();
});
