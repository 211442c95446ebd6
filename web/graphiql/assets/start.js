// Starts the explorer on the endpoint that the page names. A token in the
// page's fragment (#token=…), which browsers do not send, fills the headers.
"use strict";
(function () {
  const root = document.getElementById("graphiql");
  const endpoint = root.dataset.endpoint;
  window.__webpack_nonce__ = root.dataset.nonce; // marks the one style that GraphiQL adds by itself
  const token = new URLSearchParams(location.hash.slice(1)).get("token");

  // The server answers a query as JSON and a subscription as an event stream.
  const accept = "application/graphql-response+json, application/json;q=0.9, text/event-stream;q=0.8";

  async function fetcher(params, options) {
    const stop = new AbortController();
    const response = await fetch(endpoint, {
      method: "POST",
      headers: { ...(options && options.headers), "Content-Type": "application/json", Accept: accept },
      body: JSON.stringify(params),
      signal: stop.signal,
    });
    const type = response.headers.get("Content-Type") || "";
    return type.startsWith("text/event-stream") ? results(response.body, stop) : response.json();
  }

  // results reads an event stream as an async iterable that can be left early.
  function results(body, stop) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    const iterator = {
      [Symbol.asyncIterator]: () => iterator,
      async next() {
        for (;;) {
          const end = rest.indexOf("\n\n");
          if (end >= 0) {
            const event = rest.slice(0, end);
            rest = rest.slice(end + 2);
            if (event.startsWith("event: next\ndata: ")) {
              return { done: false, value: JSON.parse(event.slice("event: next\ndata: ".length)) };
            }
            if (event.startsWith("event: complete")) return iterator.return();
            continue; // a comment that keeps the connection alive
          }
          const chunk = await reader.read().catch(() => ({ done: true }));
          if (chunk.done) return { done: true, value: undefined };
          rest += chunk.value;
        }
      },
      async return() {
        stop.abort();
        return { done: true, value: undefined };
      },
    };
    return iterator;
  }

  const props = {
    fetcher,
    defaultQuery: "# Souk's API. A token goes into the headers below:\n# { \"Authorization\": \"Bearer …\" }\n{\n  viewer {\n    mode\n  }\n}\n",
    defaultEditorToolsVisibility: "headers",
  };
  if (token) props.defaultHeaders = JSON.stringify({ Authorization: "Bearer " + token }, null, 2);
  ReactDOM.createRoot(root).render(React.createElement(GraphiQL, props));
})();
