package seal

import "context"

// KeyWrapper encrypts the keyset itself, usually by a remote call to a key
// management service that never gives its own key away. Its shape is
// tink.AEADWithContext, so that tink's clients of such services fit.
type KeyWrapper interface {
	EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error)
	DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error)
}
