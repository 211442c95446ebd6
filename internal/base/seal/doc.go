// Package seal keeps secrets at rest: webhook secrets, private keys, tokens of
// funding sources. A row holds only what a Sealer gave; a stolen database opens
// nothing.
//
// A value is sealed with AES-256-GCM under the primary key of a keyset, bound to
// a context, which names its table, row and column: moved to another row, it
// does not open. Ciphertexts begin with tink's prefix, one byte and the id of
// the key, so that keys can be changed under them: [Keyring.Rotate] makes a new
// primary key and keeps the old ones; [Sealer.Stale] finds what a sweep has to
// open and seal again.
//
// The keyset is one JSON file in tink's own form, either in clear and readable
// by its owner alone, or wrapped by a key management service (KeyWrapper). Every
// process must see the same file: a process learns of a rotation when it meets a
// ciphertext of an unknown key, and by Watch. Losing the file loses every
// sealed value: back it up, apart from the database.
//
// Who may open what is decided elsewhere.
package seal
