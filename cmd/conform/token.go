package main

import (
	"encoding/json"
	"math"
	"time"

	"github.com/soukhq/souk/internal/base/jose"
)

// unspoken are registered algorithms that Souk does not speak: broken ones, and
// ones that the standard library does not have.
var unspoken = map[jose.Algorithm]bool{
	"RSA1_5": true, "ES256K": true, "Ed448": true,
	"ML-DSA-44": true, "ML-DSA-65": true, "ML-DSA-87": true,
}

type jwsVector struct {
	Alg      jose.Algorithm  `json:"alg"`
	Key      json.RawMessage `json:"key"`
	At       *float64        `json:"at"`
	Issuer   string          `json:"issuer"`
	Audience string          `json:"audience"`
	Token    string          `json:"token"`
}

// jws verifies a JWT with the one algorithm and the one key of the vector.
func jws(v jwsVector) any {
	if unspoken[v.Alg] {
		return skip
	}
	keys, ok := only(v.Key)
	if !ok || v.Alg == "" {
		return invalid
	}
	now := time.Now()
	if v.At != nil {
		whole, part := math.Modf(*v.At)
		now = time.Unix(int64(whole), int64(part*1e9))
	}
	_, err := jose.Verify(v.Token, jose.VerifyOptions{
		Keys: keys, Algorithms: []jose.Algorithm{v.Alg},
		Issuer: v.Issuer, Audience: v.Audience, Now: now, NoExpiry: true,
	})
	return verdict{Valid: err == nil}
}

type jweVector struct {
	Alg        jose.Algorithm  `json:"alg"`
	Enc        jose.Encryption `json:"enc"`
	PrivateKey json.RawMessage `json:"privateKey"`
	Token      string          `json:"token"`
}

type opened struct {
	Valid     bool   `json:"valid"`
	Plaintext string `json:"plaintext"`
}

// jwe opens a token with the one key and the algorithms of the vector.
func jwe(v jweVector) any {
	if unspoken[v.Alg] {
		return skip
	}
	keys, ok := only(v.PrivateKey)
	if !ok || v.Alg == "" || v.Enc == "" {
		return invalid
	}
	d, err := jose.Decrypt(v.Token, jose.DecryptOptions{
		Keys: keys, Algorithms: []jose.Algorithm{v.Alg}, Encryptions: []jose.Encryption{v.Enc},
	})
	if err != nil {
		return invalid
	}
	return opened{Valid: true, Plaintext: string(d.Plaintext)}
}

// only makes a set of one key.
func only(data []byte) (*jose.KeySet, bool) {
	k, err := jose.ParseKey(data)
	if err != nil {
		return nil, false
	}
	set, err := jose.NewKeySet(k)
	return set, err == nil
}
