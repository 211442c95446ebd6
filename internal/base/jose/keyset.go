package jose

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4/json"
)

// KeySet is the keys among which a token may pick one by its "kid". It never
// changes.
type KeySet struct {
	keys []*Key
	byID map[string]*Key
}

// NewKeySet makes a set. Two keys of one name are refused, because it would
// depend on their order which of them is meant, and so are secrets beside public
// keys.
func NewKeySet(keys ...*Key) (*KeySet, error) {
	s := &KeySet{keys: slices.Clone(keys), byID: make(map[string]*Key, len(keys))}
	for _, k := range keys {
		if k == nil {
			return nil, fmt.Errorf("%w: none", ErrKey)
		}
		if (k.secret != nil) != (keys[0].secret != nil) {
			return nil, fmt.Errorf("%w: secrets beside public keys", ErrKey)
		}
		if k.ID == "" {
			continue
		}
		if s.byID[k.ID] != nil {
			return nil, fmt.Errorf("%w: two of one name", ErrKey)
		}
		s.byID[k.ID] = k
	}
	return s, nil
}

// ParseKeySet reads a JWK Set (RFC 7517 §5) of public keys. Keys of an unknown
// type, curve or use are skipped, as the standard asks, so that an issuer may
// add new kinds. A private, symmetric, weak or broken key refuses the whole set.
func ParseKeySet(data []byte) (*KeySet, error) {
	if len(data) > maxKeySet {
		return nil, ErrTooLarge
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := decodeObject(data, &set); err != nil {
		return nil, err
	}
	if set.Keys == nil {
		return nil, ErrMalformed
	}
	if len(set.Keys) > maxKeys {
		return nil, ErrTooLarge
	}
	keys := make([]*Key, 0, len(set.Keys))
	for _, raw := range set.Keys {
		k, err := ParsePublicKey(raw)
		if errors.Is(err, errUnsupported) {
			continue
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return NewKeySet(keys...)
}

// Keys gives the keys, in the set's order.
func (s *KeySet) Keys() []*Key { return slices.Clone(s.keys) }

// Len counts the keys.
func (s *KeySet) Len() int { return len(s.keys) }

// ByID gives the key of a name, or nil.
func (s *KeySet) ByID(id string) *Key { return s.byID[id] }

// Find gives the key for a token with this "kid" and "alg". A token without
// "kid" finds the only key that suits its algorithm; a set of one nameless key
// serves every token, since then the caller has picked the key.
func (s *KeySet) Find(id string, alg Algorithm) (*Key, error) {
	if s == nil {
		return nil, ErrUnknownKey
	}
	k := s.byID[id]
	switch {
	case k != nil:
	case len(s.keys) == 1 && s.keys[0].ID == "":
		k = s.keys[0]
	case id == "":
		if k = s.only(alg); k == nil {
			return nil, ErrUnknownKey
		}
	default:
		return nil, ErrUnknownKey
	}
	if !k.suits(alg) {
		return nil, fmt.Errorf("%w: not for the algorithm of the token", ErrKey)
	}
	return k, nil
}

// only gives the one key that suits alg; trying several would multiply the work
// that a stranger's token causes.
func (s *KeySet) only(alg Algorithm) *Key {
	var found *Key
	for _, k := range s.keys {
		if !k.suits(alg) {
			continue
		}
		if found != nil {
			return nil
		}
		found = k
	}
	return found
}

// MarshalJSON writes the set as a JWK Set of public keys; secrets are left out.
func (s *KeySet) MarshalJSON() ([]byte, error) {
	set := struct {
		Keys []*Key `json:"keys"`
	}{Keys: []*Key{}}
	for _, k := range s.keys {
		if k.secret == nil {
			set.Keys = append(set.Keys, k)
		}
	}
	return json.Marshal(set)
}
