package merchant

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
)

var (
	// signing is what merchants may sign with.
	signing = []jose.Algorithm{jose.EdDSA, jose.ES256, jose.RS256}
	// encrypting is what Souk encrypts to merchants with.
	encrypting = []jose.Algorithm{jose.ECDHESA256KW, jose.RSAOAEP256}
)

// keySet is a merchant's keys, checked.
type keySet struct {
	all        *jose.KeySet
	encryption *jose.Key // the first that Souk can encrypt to
}

// parseKeys reads a key set and refuses one without a key of each kind.
func parseKeys(data []byte) (keySet, error) {
	all, err := jose.ParseKeySet(data)
	if err != nil {
		return keySet{}, ErrKeys.Because(err)
	}
	set := keySet{all: all}
	signs := false
	for _, k := range all.Keys() {
		signs = signs || canVerify(k)
		if set.encryption == nil && canEncrypt(k) {
			set.encryption = k
		}
	}
	if !signs || set.encryption == nil {
		return keySet{}, ErrKeys
	}
	return set, nil
}

func canVerify(k *jose.Key) bool {
	alg, err := k.SigningAlgorithm()
	return err == nil && slices.Contains(signing, alg)
}

// canEncrypt wants the key to say that it is for encryption: a key that is meant
// for signatures may lie where decrypting is not possible.
func canEncrypt(k *jose.Key) bool {
	alg, err := k.EncryptionAlgorithm()
	return err == nil && k.Use == jose.UseEncryption && slices.Contains(encrypting, alg)
}

// text writes the keys that were understood, and nothing else that the set held.
func (s keySet) text() ([]byte, error) {
	b, err := json.Marshal(s.all)
	if err != nil {
		return nil, fmt.Errorf("write keys: %w", err)
	}
	return b, nil
}

// heldKeys is a merchant's key set as this process holds it.
type heldKeys struct {
	keySet
	merchantID id.ID
	url        string // empty: given by value
	updatedAt  time.Time
	fetchedAt  time.Time
}

// before tells whether the set is older than the one of a row that was changed
// and whose keys were fetched at these times.
func (h *heldKeys) before(updatedAt, fetchedAt time.Time) bool {
	return updatedAt.After(h.updatedAt) || updatedAt.Equal(h.updatedAt) && fetchedAt.After(h.fetchedAt)
}
