// Package wallet knows what users can pay with, and moves their money in from
// outside and back.
//
// # What it owns
//
// Funding sources, and funding transfers between them and the world outside. It
// does not own balances: a wallet and a credit line are accounts of the ledger.
// It does not own payments: it only says which account of a user's pays.
//
// # Words
//
//   - funding source: a WALLET (the user's money, one in each currency), a
//     CREDIT_LINE (what an operator lets the user owe), or a BANK_ACCOUNT or CARD,
//     which cannot pay by itself but fills the wallet.
//   - rail: what moves money between Souk and bank accounts or cards. Each serves
//     live or the sandboxes, never both. What rests with it is its clearing
//     account, which belongs to the platform and has no floor.
//   - top-up: money from a bank account or card into the wallet.
//   - return: a top-up on its way back to where it came from, whole or part.
//   - token: what a rail knows a bank account or card by. It is kept sealed.
//
// # States of a funding transfer
//
//	PENDING → SUCCEEDED → RETURNED
//	        ↘ FAILED
//
// A transfer is PENDING before its rail is asked, and until the rail answers for
// good: an error or a timeout is no answer. One that SUCCEEDED can be taken back
// by the other side (a bank that returns a debit, say), as long as the rail says
// that it may.
//
// # Invariants
//
// A top-up that SUCCEEDED has been credited once, one that is PENDING or FAILED
// never. A PENDING return has one hold of its amount, and what its top-up counts
// as returned includes it; the sum of returns never exceeds the top-up. A top-up
// that was taken back takes from the wallet what is free there; the rest is what
// the user owes (KindReceivable), so that no account goes below its floor.
//
// # Steps
//
// The transfer is recorded under its idempotency key; the rail is asked, outside
// any transaction; what it answers is settled. A crash between two steps, or an
// answer that was lost, leaves the transfer PENDING: [Service.CheckDue] asks the
// rail what became of it, later and later, and sends it again if the rail has
// never heard of it.
package wallet
