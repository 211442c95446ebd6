package seal

import (
	"context"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// localWrapper stands in for a key management service.
type localWrapper struct{ aead tink.AEAD }

func newLocalWrapper(t *testing.T, key []byte) KeyWrapper {
	t.Helper()
	a, err := subtle.NewAESGCM(key)
	if err != nil {
		t.Fatal(err)
	}
	return localWrapper{a}
}

func (w localWrapper) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return w.aead.Encrypt(plaintext, associatedData)
}

func (w localWrapper) DecryptWithContext(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return w.aead.Decrypt(ciphertext, associatedData)
}
