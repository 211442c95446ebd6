package main

import (
	cryptoed25519 "crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"

	"github.com/soukhq/souk/internal/base/jose"
)

// bytesInHex is a field in hexadecimal.
type bytesInHex []byte

// UnmarshalJSON reads a JSON string of hexadecimal digits.
func (b *bytesInHex) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	raw, err := hex.DecodeString(s)
	*b = raw
	return err
}

type signatureVector struct {
	PublicKey json.RawMessage `json:"publicKey"`
	Message   bytesInHex      `json:"message"`
	Signature bytesInHex      `json:"signature"`
}

// key reads a JWK or, in hexadecimal, DER or the bare bytes of Ed25519.
func (v signatureVector) key() (*jose.Key, error) {
	var raw bytesInHex
	if json.Unmarshal(v.PublicKey, &raw) != nil {
		return jose.ParsePublicKey(v.PublicKey)
	}
	if len(raw) == cryptoed25519.PublicKeySize {
		return jose.NewPublicKey(cryptoed25519.PublicKey(raw))
	}
	return jose.ParsePublicDER(raw)
}

func (v signatureVector) verify(alg jose.Algorithm) any {
	k, err := v.key()
	if err != nil {
		return invalid
	}
	return verdict{Valid: k.Verify(alg, v.Message, v.Signature) == nil}
}

func ed25519(v signatureVector) any { return v.verify(jose.EdDSA) }

func es256(v signatureVector) any { return v.verify(jose.ES256) }

type macVector struct {
	Key     bytesInHex `json:"key"`
	Message bytesInHex `json:"message"`
	Tag     bytesInHex `json:"tag"`
	TagBits int        `json:"tagBits"`
}

// hmacSHA256 is asked of HS256, which knows neither cut tags nor keys shorter
// than its hash (RFC 7518 §3.2).
func hmacSHA256(v macVector) any {
	if v.TagBits != 256 || len(v.Key) < 32 {
		return skip
	}
	k, err := jose.ParseKey([]byte(`{"kty":"oct","k":"` + base64.RawURLEncoding.EncodeToString(v.Key) + `"}`))
	if err != nil {
		return invalid
	}
	return verdict{Valid: k.Verify("HS256", v.Message, v.Tag) == nil}
}
