// Package jose signs, verifies, encrypts and decrypts tokens: JWS (RFC 7515),
// JWE (RFC 7516), JWK (RFC 7517), JWT (RFC 7519) and a JWS inside a JWE, all in
// compact serialization.
//
// It owns the bytes and the rules that the standards set. It does not own whose
// keys are trusted, where they are kept or which token was seen before.
//
// What a reader of foreign tokens must hold to, and this package does:
//
//   - The caller names the algorithms that it allows; the token's header only
//     picks one of them. Nothing is decided by "alg" alone, "none" does not
//     exist, and an algorithm works with keys of its own type only, so that a
//     public key can never pass as an HMAC secret.
//   - Keys come from the caller. "jku", "x5u", "x5c" and "jwk" in a header are
//     not looked at, but for a proof of possession, which asks for "jwk"
//     explicitly (VerifyOptions.EmbeddedKey).
//   - There is one way to write a token: base64url without padding, white space
//     or stray bits, JSON in UTF-8 without duplicate members, names compared
//     with their case. What a second reader could read otherwise is refused.
//   - Everything is bounded: tokens, headers, key sets, RSA moduli, PBES2
//     iterations. Compressed content ("zip") is refused.
//   - "crit" is refused: no extension is understood (RFC 7515 §4.1.11).
//
// Signatures, OAEP, ECDH and GCM are the standard library's. What it lacks
// (Concat KDF, AES key wrap, AES-CBC with HMAC, and JSON that refuses
// duplicates) is go-jose's. go-jose's own token types are not used: they know
// no X25519.
//
// Errors are sentinels with texts that hold nothing of a token or a key, so
// they may be logged.
package jose
