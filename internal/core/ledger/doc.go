// Package ledger is the only place where value moves.
//
// # What it owns
//
// Accounts, transfers, holds, and the payment executor that commits many
// payments in one transaction. It does not know orders, coupons or merchants:
// domains bring their own rows into a batch through [Book] and [Command].
//
// # Words
//
//   - account: where value of one currency in one mode rests. Its balance is the
//     sum of its credits less the sum of its debits. What Souk owes a user or a
//     merchant is positive; what rests outside (a bank's clearing account) is
//     negative; all balances of a mode and currency sum to zero.
//   - transfer: a debit of one account and a credit of another, same amount.
//   - hold: a part of a balance that is set aside. It is HELD until it ends
//     once: CAPTURED (whole or part, the rest is free again), VOIDED or EXPIRED.
//   - floor: how low balance less holds may go: 0, or below for a credit line.
//
// # Invariants
//
// Every transfer sums to zero. A balance equals its transfers. held equals the
// sum of the holds that are HELD. balance − held ≥ floor. Nothing crosses a mode
// or a currency. [Service.Verify] proves them from the tables; CHECK constraints
// keep all but the sums by themselves.
//
// # The executor
//
// Commands wait in a bounded queue. One goroutine takes what is there, without a
// timer, locks every row that the commands name in one fixed order, lets each
// decide in the order of arrival against the locked values, writes what they
// decided in bulk, and commits: two round trips for up to MaxBatch payments. A
// batch has exactly the result of its commands run one after another.
package ledger
