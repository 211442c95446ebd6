// Package webhook tells third parties of what happened to what is theirs.
//
// # What it owns
//
// Endpoints, deliveries, attempts, and the signature of Standard Webhooks
// (https://www.standardwebhooks.com), by which a receiver knows that a message is
// Souk's. It does not know what events mean: whoever has one gives its type and
// data to [Service.Dispatch].
//
// # Words
//
//   - endpoint: a URL of a merchant's that is sent the events it wants. It is
//     ENABLED, or DISABLED: by its owner, or because it answered 410 Gone.
//   - delivery: one event for one endpoint. It is PENDING until a 2xx answer makes
//     it DELIVERED, or the last attempt, or the end of its endpoint, makes it
//     FAILED. A replay makes it PENDING again.
//   - attempt: one request. All are kept, until their delivery is pruned.
//
// # Invariants
//
// An event makes at most one delivery for each endpoint, however often it is
// dispatched. A delivery is attempted at least once; twice only if a process died
// between the request and its record, or a lease ran out. The id of the event is
// the message's id in each attempt, so that receivers can tell.
//
// # Time
//
// When something is due is decided by the clock of its mode, so that a sandbox
// that is moved forward sees its retries. The timestamp that is signed is the
// live clock's: the receiver holds it against its own.
package webhook
