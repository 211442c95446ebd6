package jose

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
)

// Limits on what is read. A token travels in an HTTP header or a small body; a
// key set is read from a third party.
const (
	MaxToken  = 256 << 10
	maxHeader = 16 << 10
	maxKey    = 32 << 10
	maxKeySet = 512 << 10
	maxKeys   = 100
)

// base64URL refuses padding and non-zero stray bits (RFC 7515 §2), so that one
// value has one text.
var base64URL = base64.RawURLEncoding.Strict()

func encode64(b []byte) string { return base64URL.EncodeToString(b) }

// decode64 reads base64url. The library skips line ends, which would let one
// signature appear in many texts.
func decode64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, ErrMalformed
	}
	b, err := base64URL.DecodeString(s)
	if err != nil {
		return nil, ErrMalformed
	}
	return b, nil
}

// decodeObject reads a JSON object strictly: UTF-8, no duplicate members, names
// with their case (RFC 7515 §4, RFC 7519 §4). Unlike encoding/json it never
// takes "ALG" for "alg".
func decodeObject(data []byte, into any) error {
	if !utf8.Valid(data) || !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte{'{'}) {
		return ErrMalformed
	}
	if json.Unmarshal(data, into) != nil {
		return ErrMalformed
	}
	return nil
}

// splitCompact cuts a compact serialization into its parts and reads the first,
// the header.
func splitCompact(token string, parts int, header any) ([]string, error) {
	if len(token) > MaxToken {
		return nil, ErrTooLarge
	}
	p := strings.SplitN(token, ".", parts+1)
	if len(p) != parts || p[0] == "" {
		return nil, ErrMalformed
	}
	if len(p[0]) > maxHeader {
		return nil, ErrTooLarge
	}
	raw, err := decode64(p[0])
	if err != nil {
		return nil, err
	}
	return p, decodeObject(raw, header)
}

// mediaType folds the spellings of "typ" and "cty": case does not matter, and
// "application/" may be left out (RFC 7515 §4.1.9).
func mediaType(s string) string {
	s = strings.ToLower(s)
	if rest, ok := strings.CutPrefix(s, "application/"); ok && !strings.Contains(rest, "/") {
		return rest
	}
	return s
}
