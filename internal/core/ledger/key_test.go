package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/soukhq/souk/internal/base/errs"
)

func TestNewKey(t *testing.T) {
	t.Parallel()
	type input struct {
		To    string `json:"to"`
		Minor int64  `json:"minor"`
	}
	key := func(principal, operation, name string, in any) Key {
		k, err := NewKey(principal, operation, name, in)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := key("user:1", "pay", "k", input{"a", 1})
	if again := key("user:1", "pay", "k", input{"a", 1}); again != first {
		t.Error("the same is not the same")
	}
	if other := key("user:1", "pay", "k", input{"a", 2}); other.ID != first.ID || other.Hash == first.Hash {
		t.Error("another input keeps the key and changes the hash")
	}
	for name, other := range map[string]Key{
		"another principal": key("user:2", "pay", "k", input{"a", 1}),
		"another operation": key("user:1", "refund", "k", input{"a", 1}),
		"another key":       key("user:1", "pay", "k2", input{"a", 1}),
		"parts moved":       key("user:1pa", "y", "k", input{"a", 1}),
	} {
		if other.ID == first.ID {
			t.Errorf("%s is the same key", name)
		}
	}
	if first.ID != KeyID("user:1", "pay", "k") {
		t.Error("KeyID names another key")
	}
	for _, bad := range []string{"", strings.Repeat("x", 256)} {
		if _, err := NewKey("user:1", "pay", bad, nil); !errors.Is(err, ErrKeyInvalid) {
			t.Errorf("a key of %d bytes: %v", len(bad), err)
		}
	}
	if _, err := NewKey("user:1", "pay", "k", func() {}); err == nil || errs.IsRefusal(err) {
		t.Errorf("an input that is no JSON: %v", err)
	}
}

func TestKeyRow_Replay(t *testing.T) {
	t.Parallel()
	full := &errs.Error{Kind: errs.NotFound, Code: "CODE", Field: []string{"a", "0"}, Message: `"quoted" <é>`, Retry: errs.RetryAfter, RetryIn: 5}
	key := Key{Hash: [32]byte{1}}
	row := keyRow{hash: key.Hash[:], result: encodeRefusal(full.Because(errors.New("only for the log")))}
	r := row.replay(key.Hash)
	got := errs.As(r.Err)
	if got == nil || !r.Replayed || got.Kind != errs.NotFound || got.Code != "CODE" || strings.Join(got.Field, ".") != "a.0" || got.Message != full.Message ||
		got.Retry != errs.RetryNewKey || got.Err != nil {
		t.Errorf("replayed %+v of %+v", got, full)
	}
	row.result = encodeResult([]byte(`{"a":"b"}`))
	if r := row.replay(key.Hash); r.Err != nil || !r.Replayed || string(r.Result) != `{"a":"b"}` {
		t.Errorf("replayed %+v", r)
	}
	if r := row.replay([32]byte{2}); !errors.Is(r.Err, ErrIdempotency) || r.Replayed || r.Result != nil {
		t.Errorf("another input was answered %+v", r)
	}
	row.result = []byte("{")
	if r := row.replay(key.Hash); r.Err == nil || errs.IsRefusal(r.Err) {
		t.Errorf("a result that cannot be read was answered %+v", r)
	}
}
