package seal

import (
	"context"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// KeyWrapper encrypts the keyset itself, usually by a remote call to a key
// management service that never gives its own key away. Its shape is
// tink.AEADWithContext, so that tink's clients of such services fit.
type KeyWrapper interface {
	EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error)
	DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error)
}

// NewLocalWrapper makes a KeyWrapper of a key of 32 bytes that this process
// holds: a stand-in for a key management service, for tests and trials.
func NewLocalWrapper(key []byte) (KeyWrapper, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("seal: a wrapping key has 32 bytes, not %d", len(key))
	}
	a, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, fmt.Errorf("seal: wrapping key: %w", err)
	}
	return localWrapper{a}, nil
}

type localWrapper struct{ aead tink.AEAD }

func (w localWrapper) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return w.aead.Encrypt(plaintext, associatedData)
}

func (w localWrapper) DecryptWithContext(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return w.aead.Decrypt(ciphertext, associatedData)
}
