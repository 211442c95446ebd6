// Package crash is a drill: Souk sells under load while its parts are killed,
// and afterwards must have forgotten nothing and charged nobody twice.
//
// # What happens
//
// Souk's servers and worker, two merchants' product servers and Redis run as
// processes of their own. Clients buy through the public API without a break:
// from cards that are their own confirmation and from merchants who confirm at
// once, later, twice, too late, or not at all; they send the same purchase
// several times at once, cancel, reverse what they have lost sight of, and fill
// their wallets; merchants give money back. Meanwhile, at random times, servers
// and the worker are killed (SIGKILL), PostgreSQL is stopped in immediate mode,
// and Redis is flushed or killed. What was killed is started again at once, as a
// supervisor would. A client that gets no answer sends the same again, with the
// same idempotency key, until it gets one.
//
// When all kills are done everything is left to settle, and is judged.
//
// # Who judges
//
// Not Souk's tables. Each client keeps a [Journal], fsynced before it sends and
// after it has heard; each merchant keeps its own fsynced log. What the API tells
// buyers and merchants at the end is held against these: every accepted order has
// reached an end, no idempotency key made two orders and no order came without
// one, wallets hold to the cent what was paid in, spent and given back, stock is
// what was not sold, every payment had the merchant's yes, every buyer has one
// receipt of each event, every merchant has heard of it by one webhook with a
// good signature, and whoever said yes to what was not paid was told to release
// it. Then the ledger must verify, too.
//
// That the judge can see a double charge is proven with a build that makes some
// on purpose (build tag seeddoublecharge).
package crash
