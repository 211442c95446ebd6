// Package bench measures what Souk does in a second beside what the same
// PostgreSQL does by itself.
//
// A figure alone says more about the machine than about Souk. So each one stands
// beside an anchor: a payment as pgbench makes it, statement by statement,
// without HTTP, GraphQL, tokens or signatures. Anchor and Souk run by turns, and
// the ratio of their medians is what counts.
//
// Souk is measured from outside: `souk serve` runs in a process of its own, in
// production mode, and the load comes over HTTP with tokens of an OpenID Connect
// issuer and with product cards that merchants have signed. Load generator,
// server and database share the machine, as nothing else would be honest beside
// pgbench, which does so too.
package bench
