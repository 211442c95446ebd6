package seal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/core/cryptofmt"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// keysMax bounds a keyset.
const keysMax = 100

// keys is a keyset ready for use. It never changes.
type keys struct {
	aead    tink.AEAD
	primary uint32
	ids     map[uint32]bool
	version version
}

// newKeys prepares a keyset. Keys without tink's prefix are refused, for their
// ciphertexts would not tell who sealed them.
func newKeys(handle *keyset.Handle, v version) (*keys, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("seal: keyset: %w", err)
	}
	info := handle.KeysetInfo()
	ks := &keys{aead: primitive, primary: info.GetPrimaryKeyId(), ids: map[uint32]bool{}, version: v}
	for _, key := range info.GetKeyInfo() {
		if key.GetOutputPrefixType() != tinkpb.OutputPrefixType_TINK {
			return nil, fmt.Errorf("seal: keyset: key %d does not mark its ciphertexts", key.GetKeyId())
		}
		ks.ids[key.GetKeyId()] = key.GetStatus() == tinkpb.KeyStatusType_ENABLED
	}
	return ks, nil
}

// withNewPrimary adds a key to a keyset, or begins one.
func withNewPrimary(handle *keyset.Handle) (*keyset.Handle, error) {
	manager := keyset.NewManager()
	if handle != nil {
		if handle.Len() >= keysMax {
			return nil, errors.New("seal: keyset is full")
		}
		manager = keyset.NewManagerFromHandle(handle)
	}
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: new key: %w", err)
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("seal: new key: %w", err)
	}
	return manager.Handle()
}

// keyID reads the key's id from tink's prefix: 0x01 and four bytes.
func keyID(ciphertext []byte) (uint32, bool) {
	if len(ciphertext) < cryptofmt.TinkPrefixSize || ciphertext[0] != cryptofmt.TinkStartByte {
		return 0, false
	}
	return binary.BigEndian.Uint32(ciphertext[1:]), true
}

// wrapContext is the associated data of wrapped keysets. It is part of the
// file's format.
var wrapContext = []byte("souk keyset")

func encode(ctx context.Context, handle *keyset.Handle, wrapper KeyWrapper) ([]byte, error) {
	var out bytes.Buffer
	w := keyset.NewJSONWriter(&out)
	if wrapper == nil {
		err := insecurecleartextkeyset.Write(handle, w)
		return out.Bytes(), err
	}
	err := handle.WriteWithContext(ctx, w, wrapper, wrapContext)
	return out.Bytes(), err
}

func decode(ctx context.Context, data []byte, wrapper KeyWrapper) (*keyset.Handle, error) {
	r := keyset.NewJSONReader(bytes.NewReader(data))
	if wrapper == nil {
		return insecurecleartextkeyset.Read(r)
	}
	return keyset.ReadWithContext(ctx, r, wrapper, wrapContext)
}
