package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
)

// Key is an idempotency key as it is stored: who used it for which operation,
// and a hash of the input that came with it.
type Key struct {
	ID   id.ID
	Hash [sha256.Size]byte
}

// NewKey derives the stored form of an idempotency key. The input is hashed as
// the service understood it (normalised, as JSON), so that a repetition by
// another client library is still a repetition.
func NewKey(principal, operation, key string, input any) (Key, error) {
	if len(key) == 0 || len(key) > 255 {
		return Key{}, ErrKeyInvalid
	}
	b, err := json.Marshal(input)
	if err != nil {
		return Key{}, fmt.Errorf("hash input: %w", err)
	}
	return Key{ID: KeyID(principal, operation, key), Hash: sha256.Sum256(b)}, nil
}

// KeyID names a key without its input.
func KeyID(principal, operation, key string) id.ID { return id.Of("key", principal, operation, key) }

// stored is what an idempotency key remembers.
type stored struct {
	Result  json.RawMessage `json:"r,omitempty"`
	Refusal *refusal        `json:"x,omitempty"`
}

type refusal struct {
	Kind    errs.Kind  `json:"k"`
	Code    string     `json:"c"`
	Field   []string   `json:"f,omitempty"`
	Message string     `json:"m"`
	Retry   errs.Retry `json:"t"`
}

// encodeResult wraps a result without copying it through the JSON encoder: it is
// on the path of every payment.
func encodeResult(result []byte) []byte {
	b := make([]byte, 0, len(result)+6)
	b = append(b, `{"r":`...)
	b = append(b, result...)
	return append(b, '}')
}

func encodeRefusal(e *errs.Error) []byte {
	b, err := json.Marshal(stored{Refusal: &refusal{e.Kind, e.Code, e.Field, e.Message, storedRetry(e)}})
	if err != nil {
		panic(fmt.Sprintf("ledger: a refusal does not encode: %v", err)) // plain strings always do
	}
	return b
}

// storedRetry is the retry rule of a remembered refusal: its key will always
// answer the same, so another try needs another key.
func storedRetry(e *errs.Error) errs.Retry {
	if e.Retry == errs.RetryNever {
		return errs.RetryNever
	}
	return errs.RetryNewKey
}

type keyRow struct {
	id     id.ID
	hash   []byte // empty: barred, answers any input
	result []byte
}

// replay answers a repetition.
func (r keyRow) replay(hash [sha256.Size]byte) Reply {
	if len(r.hash) != 0 && !bytes.Equal(r.hash, hash[:]) {
		return Reply{Err: ErrIdempotency}
	}
	var s stored
	if err := json.Unmarshal(r.result, &s); err != nil {
		return Reply{Err: fmt.Errorf("read stored result: %w", err)}
	}
	if x := s.Refusal; x != nil {
		return Reply{Replayed: true, Err: &errs.Error{Kind: x.Kind, Code: x.Code, Field: x.Field, Message: x.Message, Retry: x.Retry}}
	}
	return Reply{Replayed: true, Result: s.Result}
}
