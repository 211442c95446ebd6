// graphql-sse, the client of GraphQL over server-sent events, in its "distinct
// connections" mode.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { NetworkError, createClient } from "graphql-sse";
import {
  Line, alice, bearer, buy, delay, desk, endpoint, feed, messageAdded, mutate, newest, orderUpdated, promised, prompted, purchase, refund, rest, say, souk, until,
} from "./souk.mjs";

const open = [];
afterEach(() => {
  for (const client of open.splice(0)) client.dispose();
});

// client is one as a frontend makes it.
function client({ token = alice, url = endpoint, ...options } = {}) {
  const made = createClient({ url, headers: () => (token ? bearer(token) : {}), retryAttempts: 10, retry: () => delay(10), ...options });
  open.push(made);
  return made;
}

const inConversation = (after) => ({ query: messageAdded, variables: { conversationId: souk.conversation, after } });

test("queries and mutations stream one result", async () => {
  const [{ data }] = await rest(client().iterate({ query: "{ viewer { mode } }" }));
  assert.equal(data.viewer.mode, "SANDBOX");
  const results = await rest(client().iterate({
    query: "mutation ($input: PurchaseCreateInput!) { purchaseCreate(input: $input) { order { state } userErrors { code } } }",
    variables: { input: purchase() },
  }));
  assert.deepEqual(results, [{ data: { purchaseCreate: { order: { state: "PAID" }, userErrors: [] } } }]);
});

test("messages come as they are written", async () => {
  const messages = client().iterate(inConversation(await newest()));
  const texts = ["One.", "Two\nlines.", "Three: 10 € — 茶 🍵 \u2028."];
  for (const text of texts) await say(text);
  for (const text of texts) assert.equal((await messages.next()).value.data.messageAdded.node.text, text);
  await messages.return();
});

test("orders come as they change", async () => {
  const updates = client().iterate({ query: orderUpdated });
  await prompted(updates, buy);
  const id = await buy();
  const update = (state) => ({ data }) => data.orderUpdated.order.id === id && data.orderUpdated.order.state === state;
  await until(updates, update("PAID"));
  await refund(id);
  await until(updates, update("REFUNDED"));
  await updates.return();
});

test("the feed tells of messages and orders", async () => {
  const events = client().iterate({ query: feed });
  await prompted(events, () => say("Anybody there?"));
  await say("Tea?");
  await until(events, ({ data }) => data.feed.subject?.text === "Tea?");
  const id = await buy();
  await until(events, ({ data }) => data.feed.subject?.id === id);
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
    const cut = promised();
    const mayRetry = promised();
    const c = client({
      url: line.url,
      retry: async () => {
        cut.keep();
        await mayRetry.promise;
      },
    });
    // What is sent again after a retry carries the cursor of what came last.
    const request = { query: document, variables: { ...variables } };
    const stream = c.iterate(request);
    const cursors = [];
    const read = ({ data }) => {
      request.variables.after = data[name].cursor;
      cursors.push(data[name].cursor);
      return data[name];
    };
    read(await prompted(stream, () => act("Before the tunnel.")));
    line.cut();
    await cut.promise;
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
    assert.equal(line.calls, 2);
    await stream.return();
  });
}

test("a bad token is refused before a stream begins", async () => {
  const c = client({ token: "bad", retryAttempts: 0 });
  await assert.rejects(rest(c.iterate({ query: feed })), (error) => error instanceof NetworkError && error.response.status === 401);
});

const told = (code) => [[code]];
const codes = (results) => results.map(({ errors }) => errors.map(({ extensions }) => extensions.code));

test("without a token nothing can be followed", async () => {
  assert.deepEqual(codes(await rest(client({ token: null }).iterate({ query: feed }))), told("UNAUTHENTICATED"));
});

test("the end of a token ends its stream", async (t) => {
  const line = await new Line().open();
  t.after(() => line.close());
  const token = await desk("token", { subject: "alice", seconds: 2 });
  const results = await rest(client({ token, url: line.url }).iterate({ query: feed }));
  assert.deepEqual(codes(results), told("UNAUTHENTICATED"));
  await delay(100);
  assert.equal(line.calls, 1, "the client does not come back");
});

test("a revoked token ends its stream, and no others", async () => {
  const token = await desk("token", { subject: "alice" });
  const other = client().iterate(inConversation(await newest()));
  const stream = client({ token }).iterate({ query: feed });
  await prompted(stream, () => say("Still me."));
  await mutate(token, "tokenRevoke", "clientMutationId", {});
  const last = (await rest(stream)).at(-1);
  assert.equal(last.errors[0].extensions.code, "UNAUTHENTICATED");
  await say("And I am still here.");
  await until(other, ({ data }) => data.messageAdded.node.text === "And I am still here.");
  await other.return();
});

test("what is wrong with an operation is its only result", async () => {
  const run = async (query, variables) => codes(await rest(client().iterate({ query, variables })));
  assert.deepEqual(await run("{ nothing }"), told("VALIDATION_FAILED"));
  assert.deepEqual(await run("{ viewer"), told("VALIDATION_FAILED"));
  assert.deepEqual(await run(feed, { after: "forged" }), told("CURSOR_INVALID"));
  assert.deepEqual(await run(messageAdded, { conversationId: souk.order }), told("CONVERSATION_NOT_FOUND"));
});

test("a quiet stream is kept alive", async () => {
  const stop = new AbortController();
  const response = await fetch(endpoint, {
    method: "POST",
    headers: { ...bearer(alice), "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ query: orderUpdated }),
    signal: stop.signal,
  });
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.split(":\n\n").length > 2) break; // one at once, and one a second later
  }
  stop.abort();
});

test("a stream says that the server goes away, and is there when it is back", async () => {
  const request = inConversation(await newest());
  const stream = client().iterate(request);
  await say("Before the restart.");
  request.variables.after = (await stream.next()).value.data.messageAdded.cursor;
  await desk("stop");
  assert.deepEqual(codes(await rest(stream)), told("UNAVAILABLE"));
  await desk("start");
  await say("After the restart.");
  const again = client().iterate(request);
  assert.equal((await again.next()).value.data.messageAdded.node.text, "After the restart.");
  await again.return();
});
