// Package auth turns a bearer token into a Viewer: who asks.
//
// Three kinds of tokens are believed, all of them JWTs (RFC 7519, and RFC 9068
// where an issuer follows it):
//
//   - of a configured OpenID Connect issuer: a user, whose subject the chat app
//     provisioned, or by the claim "souk_role" the chat app's server ("service")
//     or an operator ("operator");
//   - of the embedded issuer, which is Souk itself and exists for trying out;
//   - of a merchant, signed with a key that the merchant registered.
//
// A token bound to a key (claim "cnf") also needs a proof of possession, DPoP
// (RFC 9449).
//
// Verifying costs a signature the first time and a hash afterwards. What can end
// a token before its expiry is held against the cache on every request:
//
//   - the key that verified it must still be in the issuer's key set;
//   - user, device and token must be in good standing. The Directory is asked
//     every few seconds at most, and at once after Revoked was called here or in
//     another process. While other processes cannot be heard (Redis away), it is
//     asked each second.
//
// Times are held against the live clock: an issuer knows nothing of sandboxes.
//
// The package owns no tables. Who is blocked or revoked is the business of the
// domain that implements Directory; what a viewer may do is that of each service.
package auth
