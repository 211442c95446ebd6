// What the tests share: the server that they use, and short ways to act on it
// without any client library.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

export { delay };

/** What the Go test that started Souk tells of it. */
export const souk = JSON.parse(process.env.SOUK_TEST_WORLD);
export const { alice, bob } = souk.tokens;
export const endpoint = `${souk.url}/graphql`;

export const bearer = (token) => ({ Authorization: `Bearer ${token}` });
export const key = () => randomUUID();

/** Asks the Go test for what no client of Souk can do: token, stop, start. */
export async function desk(what, order = {}) {
  const response = await fetch(`${souk.desk}/${what}`, { method: "POST", body: JSON.stringify(order) });
  if (!response.ok) throw new Error(`${what}: ${await response.text()}`);
  return response.json();
}

/** The name under which the functions below call. */
export const client = "souk-test";

/** Sends one operation and gives its data. */
export async function ask(token, query, variables) {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: { "content-type": "application/json", "GraphQL-Client-Name": client, ...bearer(token) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** Writes a mutation of one field. */
export const mutation = (name, selection) =>
  `mutation ($input: ${name[0].toUpperCase()}${name.slice(1)}Input!) { ${name}(input: $input) { ${selection} userErrors { code message } } }`;

/** Sends a mutation and gives its payload. */
export async function mutate(token, name, selection, input) {
  const data = await ask(token, mutation(name, selection), { input });
  const { userErrors, ...payload } = data[name];
  if (userErrors.length > 0) throw new Error(`${name}: ${JSON.stringify(userErrors)}`);
  return payload;
}

/** Writes a message into the conversation, as Bob. */
export const say = (text) =>
  mutate(bob, "messageSend", "message { id }", { conversationId: souk.conversation, text, idempotencyKey: key() });

/** What is sent to buy the demo's tea, as Alice. */
export const purchase = (over = {}) => ({ idempotencyKey: key(), card: souk.card, fundingSourceId: souk.wallet, ...over });

/** Buys, and gives the order's id. */
export async function buy() {
  const { order } = await mutate(alice, "purchaseCreate", "order { id state }", purchase());
  if (order.state !== "PAID") throw new Error(`the order is ${order.state}`);
  return order.id;
}

/** Gives an order's money back, as its merchant. */
export async function refund(orderId) {
  const response = await fetch(`${souk.shop}/token`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  const { token } = await response.json();
  return mutate(token, "purchaseRefund", "order { state }", { orderId, idempotencyKey: key() });
}

/** The cursor of the conversation's newest message. */
export async function newest() {
  const data = await ask(alice, "query ($id: ID!) { conversation(id: $id) { messages(last: 1) { edges { cursor } } } }", { id: souk.conversation });
  return data.conversation.messages.edges[0].cursor;
}

// What the subscriptions' tests follow.
export const messageAdded = `subscription Messages($conversationId: ID!, $after: String) {
  messageAdded(conversationId: $conversationId, after: $after) { cursor node { id text sender { displayName } } }
}`;
export const orderUpdated = "subscription Orders($after: String) { orderUpdated(after: $after) { cursor order { id state } } }";
export const feed = `subscription Feed($after: String) {
  feed(after: $after) { cursor subject { __typename ... on Message { id text } ... on Order { id state } } }
}`;

/**
 * Acts again and again until the stream has something, and gives that: without a
 * cursor a subscription begins at a moment that its client cannot see.
 */
export async function prompted(stream, act) {
  const first = stream.next();
  for (;;) {
    await act();
    const result = await Promise.race([first, delay(250)]);
    if (result) return result.value;
  }
}

/** Reads a stream until something is as wanted, and gives that. */
export async function until(stream, wanted) {
  for (;;) {
    const { value, done } = await stream.next();
    if (done) throw new Error("the stream ended before what was wanted");
    if (wanted(value)) return value;
  }
}

/** Reads all that a stream still has. */
export async function rest(stream) {
  const all = [];
  for (;;) {
    const { value, done } = await stream.next();
    if (done) return all;
    all.push(value);
  }
}

/** A line to Souk that can be cut, as a telephone's is in a tunnel. */
export class Line {
  #ends = new Set();
  #server = createServer((near) => {
    // A client's pool may open connections that it does not use.
    near.once("data", () => this.calls++);
    const far = connect(new URL(souk.url).port, new URL(souk.url).hostname);
    this.#ends.add(near);
    near.pipe(far).pipe(near);
    for (const [end, other] of [[near, far], [far, near]]) {
      end.on("error", () => {}).on("close", () => other.destroy());
    }
    near.on("close", () => this.#ends.delete(near));
  });
  calls = 0; // connections that something was asked on

  /** Opens the line and gives its URL. */
  async open() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `http://127.0.0.1:${this.#server.address().port}/graphql`;
    return this;
  }

  /** Ends all connections without a word. */
  cut() {
    for (const end of this.#ends) end.resetAndDestroy();
  }

  close() {
    this.#server.close();
    this.cut();
  }
}

/** A promise to be kept from outside. */
export function promised() {
  let keep;
  const promise = new Promise((resolve) => (keep = resolve));
  return { promise, keep };
}
