// Package id makes and reads identifiers.
//
// Rows are named by UUIDv7 (RFC 9562 §5.7): unique without coordination between
// processes, and in the order of their making, so that an index on them grows at
// one end. Outside, they are global ids: opaque, tagged with their type.
package id

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/google/uuid"
)

// ID names a row.
type ID = uuid.UUID

// Nil is the id of nothing.
var Nil = uuid.Nil

// New makes an id that sorts after those that this process made before.
func New() ID { return uuid.Must(uuid.NewV7()) }

// Of derives an id from parts, so that the same parts always name the same row:
// SHA-256 over the length-prefixed parts, cut to 128 bits and marked as UUIDv8
// (RFC 9562 §5.8).
func Of(parts ...string) ID {
	h := sha256.New()
	for _, p := range parts {
		n := len(p)
		h.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write([]byte(p))
	}
	var u ID
	copy(u[:], h.Sum(nil))
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u
}

// ErrMalformed is what Parse and ParseGlobal say of a text that is no id.
var ErrMalformed = errors.New("malformed id")

// Parse reads the canonical text of an id.
func Parse(s string) (ID, error) {
	u, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return Nil, ErrMalformed
	}
	return u, nil
}

// Global is an id as the API shows it: base64url of "Type:" and the 16 bytes.
func Global(typ string, u ID) string {
	b := make([]byte, 0, len(typ)+17)
	b = append(b, typ...)
	b = append(b, ':')
	b = append(b, u[:]...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseGlobal reads a global id.
func ParseGlobal(s string) (typ string, u ID, err error) {
	if len(s) > 128 {
		return "", Nil, ErrMalformed
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return "", Nil, ErrMalformed
	}
	typ, rest, ok := strings.Cut(string(b), ":")
	if !ok || typ == "" || len(rest) != 16 {
		return "", Nil, ErrMalformed
	}
	copy(u[:], rest)
	return typ, u, nil
}
