// Package merchantsim is a merchant's product server: the smallest one that does
// everything that Souk asks of one, and that can be told to misbehave.
//
// The demo buys from it, tests and benchmarks lean on it, and merchants who
// integrate may read it beside the merchants' page or let their own tools talk
// to it. It shares with Souk only plain values and the library of tokens;
// webhooks it verifies with the reference library.
//
// # What a product server does
//
//   - It publishes its public keys (RFC 7517 §5) at /.well-known/jwks.json: one
//     that verifies what it signs, one to encrypt to.
//   - It signs product cards, GET /card: a JWS (RFC 7515) of type souk-card+jwt.
//   - It confirms or declines orders, POST /orders. An order comes as a JWS of
//     Souk's inside a JWE (RFC 7516, RFC 7519 §5.2), and so goes the answer.
//     Instead of answering at once it may say 202 and answer later, by POST to
//     Souk's /merchant/confirmations.
//   - It gives up an order that Souk releases: the same message, of another type.
//   - It hears of what became of an order, POST /webhooks, signed as Standard
//     Webhooks say.
//
// # Rules that a merchant does well to copy
//
//   - One order has one answer. Souk asks again when an answer was lost, and gets
//     the same decision under the same reference; so does everybody who asks at
//     the same time.
//   - What was decided is on disk before Souk hears of it. Here that is a log of
//     JSON lines (see [Log]), from which the state is read back after a restart.
//   - A message is believed when Souk's key signed it, it names Souk as its issuer
//     and this merchant as its audience, it has not expired, and it was not seen
//     before (RFC 8725 §3.8 to §3.11).
//   - What cannot be checked right now, because Souk's keys cannot be fetched or
//     the disk is full, is answered 503: Souk asks again.
//   - A webhook may come twice; its id tells.
//
// # Misbehaving
//
// A [Plan] says how it errs: late, not at all, twice, with a wrong signature, for
// another order and so on. There is one from the start, others replace it while
// it runs, for all products or for one, for good or for the next so many
// requests: [Server.Behave], or POST /behave.
//
// # What it does not do
//
// It charges nothing, ships nothing, and keeps as much in memory as it was asked.
package merchantsim
