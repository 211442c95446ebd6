// Package merchant knows who sells what.
//
// # What it owns
//
// Merchants, the public keys with which they sign and to which Souk encrypts,
// their products, and the product cards by which these are offered in a chat. It
// does not own orders, nor the stock while it is being sold: a purchase locks
// the product's row itself and decides there.
//
// # Words
//
//   - merchant: ACTIVE, or SUSPENDED, which sells nothing while its refunds and
//     cancellations go on.
//   - key set: a merchant's keys, given once (inline) or published at a URL. A
//     published set is fetched again when it has aged, and when something is
//     signed with a key that is not in it.
//   - product: what is OFFERED under the merchant's own name for it (SKU), or
//     was WITHDRAWN. Its currency never changes.
//   - product card: a product and its price, signed by the merchant until a set
//     time. It is believed if the signature is the merchant's; it is stale once
//     the product is offered otherwise.
//   - pseudonym: how a merchant knows a buyer. No two merchants can find out that
//     they sell to the same one.
//
// # Invariants
//
// A merchant always has a key to verify its signatures and a key to encrypt to.
// A merchant with a product has a PAYABLE account in the product's currency.
// Nothing is told of a merchant of another mode.
//
// # Caches
//
// Cards are verified on the path of every payment. A signature is checked once
// per card and process: afterwards the card's hash is known, and counts as long
// as the very key that verified it is in the merchant's set. Rows are read for
// many callers in one query and are believed for [Config].CacheFor; a refusal
// never rests on them: before a card is refused, they are read again. Nor does a
// purchase: it sees in its transaction whether they have changed.
package merchant
