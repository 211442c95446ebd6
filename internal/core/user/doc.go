// Package user knows the people of the chat app and their devices.
//
// # What it owns
//
// Users, devices with their public keys, contacts, and tokens that were revoked
// before their time. It does not own tokens (the chat app's issuer signs them and
// package auth verifies them), conversations, or anything that moves value.
//
// # Words
//
//   - user: a person of the chat app, known there by an external id: the subject
//     of the person's tokens. A mode, an issuer and an external id name one user.
//   - realm: the mode and issuer that a server acts in. Users of another realm
//     are not there for it.
//   - device: a user's phone or computer with a public key of its own.
//   - contact: a user whom another counts among their friends. It has a
//     direction; the chat app's server sets both.
//
// # States
//
//	ACTIVE <-> BLOCKED
//	   \         /
//	    REMOVED ----> ERASED (also straight from ACTIVE and BLOCKED)
//
// Only an ACTIVE user's tokens are good. REMOVED and ERASED are final: the same
// external id names a removed user for ever, while an erased user's external id
// is forgotten and may name a new one.
//
// # Erasure
//
// It takes what tells who somebody was and leaves what others have a right to
// keep: amounts and dates in the ledger, and that there was a user. Domains that
// hold more of a user take part as a [Contributor]; one of them can object while
// money is left.
package user
