// Package purchase sells a merchant's product to a user inside a chat.
//
// # What it owns
//
// Orders and their refunds: from the buyer's tap on a product card to the last
// refund. It does not own what it sells (merchant), what pays (wallet, ledger),
// or where the receipt is shown (chat).
//
// # The flow
//
// The buyer sends a product card that the merchant has signed. Souk checks
// signature, price, stock and funds and, in one batch of the payment executor,
// makes the order, holds the money and takes the units from stock: AUTHORISED.
// It asks the merchant's product server, in a signed message inside an encrypted
// one, and when the signed answer confirms it captures the hold: PAID. A card
// that says so (confirm: "card") is its own confirmation: such an order is PAID
// in that first batch.
//
// # States
//
//	AUTHORISED → PAID → PARTIALLY_REFUNDED → REFUNDED
//	           ↘ DECLINED | CANCELLED | EXPIRED
//
// # Invariants
//
// An AUTHORISED order has exactly one hold that is HELD, of its total. A PAID
// one has moved exactly its total to the merchant, once. What was refunded never
// exceeds the total. An order that ended without payment holds nothing and has
// given its units back to stock. A merchant who may think that such an order is
// on is told to release it, for a week or until it has heard.
//
// Every step is one transaction and may be repeated: a crash between two leaves
// an order AUTHORISED, which a sweep forwards again or expires.
package purchase
