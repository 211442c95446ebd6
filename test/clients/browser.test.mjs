// Pages in a browser: the explorer that Souk serves, and a frontend of another
// origin. SOUK_TEST_SCREENSHOTS names a folder for pictures of the explorer.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { alice, bearer, desk, endpoint, messageAdded, newest, say, souk } from "./souk.mjs";

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.SOUK_TEST_BROWSER,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--no-proxy-server",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", // whatever a page asks for stays here
    ],
  });
});
after(() => browser.close());

// visit opens a page that is watched: what it asks for, and what it complains of.
async function visit(url) {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  const seen = { urls: [], complaints: [] };
  page.on("request", (request) => seen.urls.push(request.url()));
  page.on("websocket", (socket) => seen.urls.push(socket.url()));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && seen.complaints.push(message.text()));
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("requestfailed", (request) => {
    const { errorText } = request.failure();
    if (errorText !== "net::ERR_ABORTED") seen.complaints.push(`${request.url()}: ${errorText}`); // the page itself ends streams
  });
  const response = await page.goto(url);
  return { page, seen, response };
}

const picture = async (page, name) => {
  const folder = process.env.SOUK_TEST_SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`) });
};

// explore drives the explorer as a person does: by what is on the page.
async function explore(hash = "") {
  const { page, seen, response } = await visit(`${souk.url}/graphiql/${hash}`);
  const fill = async (editor, text) => {
    await page.locator(`${editor} .CodeMirror`).first().click();
    await page.keyboard.press("Control+A");
    await page.keyboard.insertText(text);
  };
  return {
    page, seen, response,
    write: (text) => fill(".graphiql-query-editor", text),
    variables: async (text) => {
      await page.getByRole("button", { name: "Variables" }).click();
      await fill(".graphiql-editor-tool", text);
    },
    headers: async (text) => {
      await page.getByRole("button", { name: "Headers" }).click();
      await fill(".graphiql-editor-tool .graphiql-editor:not(.hidden)", text);
    },
    run: () => page.locator(".graphiql-execute-button").click(),
    answer: (text) => page.locator(".graphiql-response", { hasText: text }).waitFor(),
  };
}

// calm checks that a page kept to Souk and had nothing to complain of.
function calm({ urls, complaints }) {
  const { host } = new URL(souk.url);
  assert.deepEqual(urls.filter((url) => !url.startsWith("data:") && new URL(url).host !== host), [], "requests to others");
  assert.deepEqual(complaints, []);
}

test("the explorer runs a query with a header", async () => {
  const explorer = await explore();
  assert.match(explorer.response.headers()["content-security-policy"], /^default-src 'none'/);
  await explorer.headers(JSON.stringify(bearer(alice)));
  await explorer.write("query Me { viewer { mode user { displayName } } }");
  await explorer.run();
  await explorer.answer('"mode": "SANDBOX"');
  await picture(explorer.page, "query");
  calm(explorer.seen);
  await explorer.page.close();
});

test("the explorer follows a subscription until it is stopped", async () => {
  const explorer = await explore(`#token=${alice}`);
  await explorer.write(messageAdded);
  await explorer.variables(JSON.stringify({ conversationId: souk.conversation, after: await newest() }));
  await explorer.run();
  for (const text of ["Shown live.", "And this too: 茶"]) {
    await say(text);
    await explorer.answer(text);
  }
  await picture(explorer.page, "subscription");
  await explorer.run(); // which stops it
  await explorer.page.locator(".graphiql-execute-button:not(.running)").waitFor();
  await say("Seen by nobody.");
  calm(explorer.seen);
  await explorer.page.close();
});

test("the explorer shows errors, and the schema with its descriptions", async () => {
  const explorer = await explore(`#token=${alice}`);
  await explorer.write("{ viewer { orders(first: 101) { nodes { id } } } }");
  await explorer.run();
  await explorer.answer("PAGE_SIZE_INVALID");
  await explorer.page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  const documentation = explorer.page.locator(".graphiql-doc-explorer");
  await documentation.getByText("Query", { exact: true }).click();
  await documentation.getByText("The objects with these ids, in the same order").waitFor();
  await picture(explorer.page, "documentation");
  calm(explorer.seen);
  await explorer.page.close();
});

// frontend serves an empty page of another origin.
async function frontend(t) {
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>Chat</title>")).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

// What a page finds out about Souk: each way either answers, or fails.
const tries = {
  query: async ({ endpoint, headers }) => {
    const response = await fetch(endpoint, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json", "GraphQL-Client-Name": "chat-web", "X-Request-Id": "from-a-page" },
      body: JSON.stringify({ query: "{ viewer { mode } }" }),
    });
    const { data } = await response.json();
    return [data.viewer.mode, response.headers.get("X-Request-Id")];
  },
  stream: async ({ endpoint, headers, messageAdded, conversation, after }) => {
    const response = await fetch(endpoint, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json", Accept: "text/event-stream", "Last-Event-ID": "" },
      body: JSON.stringify({ query: messageAdded, variables: { conversationId: conversation, after } }),
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ; text += (await reader.read()).value) {
      const found = text.match(/"text":"([^"]+)"/);
      if (found) {
        await reader.cancel();
        return found[1];
      }
    }
  },
  socket: ({ endpoint, headers }) => new Promise((resolve, reject) => {
    const socket = new WebSocket(endpoint.replace("http", "ws"), "graphql-transport-ws");
    socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init", payload: headers }));
    socket.onmessage = ({ data }) => {
      resolve(JSON.parse(data).type);
      socket.close();
    };
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
  }),
};

test("pages of an allowed origin may use Souk, and those of another may not", async (t) => {
  const [friend, stranger] = [await frontend(t), await frontend(t)];
  await desk("stop");
  await desk("start", { origins: [friend] });
  const told = { endpoint, headers: bearer(alice), messageAdded, conversation: souk.conversation, after: await newest() };
  await say("For friends.");

  const allowed = await visit(friend);
  assert.deepEqual(await allowed.page.evaluate(tries.query, told), ["SANDBOX", "from-a-page"]);
  assert.equal(await allowed.page.evaluate(tries.stream, told), "For friends.");
  assert.equal(await allowed.page.evaluate(tries.socket, told), "connection_ack");
  assert.deepEqual(allowed.seen.complaints, []);
  await allowed.page.close();

  const { page } = await visit(stranger);
  await assert.rejects(page.evaluate(tries.query, told), /Failed to fetch/);
  await assert.rejects(page.evaluate(tries.stream, told), /Failed to fetch/);
  await assert.rejects(page.evaluate(tries.socket, told), /closed with 1006/);
  await page.close();
});
