package webhook

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

type signatureVector struct {
	Secret    string `json:"secret"`
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Payload   string `json:"payload"`
	Signature string `json:"signature"`
}

func signatureVectors(t *testing.T) []signatureVector {
	t.Helper()
	data, err := os.ReadFile("../../../testdata/vectors/standard-webhooks.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []signatureVector }
	if err := json.Unmarshal(data, &file); err != nil || len(file.Vectors) == 0 {
		t.Fatal("no vectors", err)
	}
	return file.Vectors
}

func TestSign_Vectors(t *testing.T) {
	t.Parallel()
	for _, v := range signatureVectors(t) {
		at := time.Unix(v.Timestamp, 0)
		got, err := Sign(v.Secret, v.ID, at, []byte(v.Payload))
		if err != nil || got != v.Signature {
			t.Errorf("%s: got %s, %v", v.ID, got, err)
		}
		if bare, err := Sign(strings.TrimPrefix(v.Secret, secretPrefix), v.ID, at, []byte(v.Payload)); err != nil || bare != got {
			t.Errorf("%s: without its prefix the secret is another: %s, %v", v.ID, bare, err)
		}
	}
}

// TestSign_Library lets the standard's own library verify what is signed here.
func TestSign_Library(t *testing.T) {
	t.Parallel()
	secret, now := NewSecret(), time.Now()
	library, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	value, err := SignAll([]string{NewSecret(), secret}, "msg_1", now, []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set(HeaderID, "msg_1")
	h.Set(HeaderSignature, value)
	h.Set(HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	if err := library.VerifyIgnoringTimestamp([]byte(`{"a":1}`), h); err != nil {
		t.Error(err)
	}
}

func TestSign_Refused(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	for _, secret := range []string{"", "whsec_", "whsec_?", "whsec_AAA", "WHSEC_AAAA"} {
		if _, err := Sign(secret, "msg_1", at, nil); !errors.Is(err, ErrSecret) {
			t.Errorf("%q: %v", secret, err)
		}
	}
	for _, id := range []string{"", "msg.1"} {
		if _, err := SignAll([]string{NewSecret()}, id, at, nil); !errors.Is(err, ErrMessage) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	old, secret := NewSecret(), NewSecret()
	payload := []byte(`{"type":"order.paid"}`)
	signed := func(secret string) string {
		s, err := Sign(secret, "msg_1", now, payload)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	right := signed(secret)
	good := Received{ID: "msg_1", Timestamp: "1700000000", Signature: right, Payload: payload}
	with := func(change func(*Received)) Received {
		m := good
		change(&m)
		return m
	}
	tests := []struct {
		name string
		m    Received
		now  time.Time
		want error
	}{
		{"as it is", good, now, nil},
		{"the old secret", with(func(m *Received) { m.Signature = signed(old) }), now, nil},
		{"two signatures", with(func(m *Received) { m.Signature = signed(NewSecret()) + " " + right }), now, nil},
		{"unknown versions", with(func(m *Received) { m.Signature = "v1a,AAAA v2," + right[3:] + " x " + right }), now, nil},
		{"at the tolerance", good, now.Add(5 * time.Minute), nil},
		{"at the tolerance, ahead", good, now.Add(-5 * time.Minute), nil},
		{"too old", good, now.Add(5*time.Minute + time.Second), ErrTimestamp},
		{"too new", good, now.Add(-5*time.Minute - time.Second), ErrTimestamp},
		{"another secret", with(func(m *Received) { m.Signature = signed(NewSecret()) }), now, ErrSignature},
		{"another version", with(func(m *Received) { m.Signature = "v2" + right[2:] }), now, ErrSignature},
		{"no version", with(func(m *Received) { m.Signature = right[3:] }), now, ErrSignature},
		{"no signature", with(func(m *Received) { m.Signature = "" }), now, ErrSignature},
		{"empty MAC", with(func(m *Received) { m.Signature = "v1," }), now, ErrSignature},
		{"cut MAC", with(func(m *Received) { m.Signature = right[:23] }), now, ErrSignature},
		{"far behind", with(func(m *Received) { m.Signature = strings.Repeat("v1,AAAA ", 100) + right }), now, ErrSignature},
		{"another payload", with(func(m *Received) { m.Payload = []byte(`{}`) }), now, ErrSignature},
		{"another id", with(func(m *Received) { m.ID = "msg_2" }), now, ErrSignature},
		{"another time", with(func(m *Received) { m.Timestamp = "1700000001" }), now, ErrSignature},
		{"no id", with(func(m *Received) { m.ID = "" }), now, ErrMessage},
		{"full stop", with(func(m *Received) { m.ID = "msg.1" }), now, ErrMessage},
		{"no time", with(func(m *Received) { m.Timestamp = "" }), now, ErrMessage},
		{"time with a sign", with(func(m *Received) { m.Timestamp = "+1700000000" }), now, ErrMessage},
		{"time with a fraction", with(func(m *Received) { m.Timestamp = "1700000000.0" }), now, ErrMessage},
		{"very far", with(func(m *Received) { m.Timestamp = "9223372036854775807" }), now, ErrTimestamp},
		{"very long ago", with(func(m *Received) { m.Timestamp = "-9223372036854775808" }), now, ErrTimestamp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := Verify([]string{secret, old}, tt.m, tt.now, 5*time.Minute); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	if err := Verify(nil, good, now, time.Minute); !errors.Is(err, ErrSignature) {
		t.Error("no secrets", err)
	}
	if err := Verify([]string{"whsec_?"}, good, now, time.Minute); !errors.Is(err, ErrSecret) {
		t.Error("unreadable secret", err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("msg_1", "1700000000", "v1,AAAA v1a,AAAA", []byte("{}"))
	secret := NewSecret()
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, payload []byte) {
		m := Received{ID: id, Timestamp: timestamp, Signature: signature, Payload: payload}
		if Verify([]string{secret}, m, time.Unix(1_700_000_000, 0), time.Hour) == nil {
			t.Errorf("forged %+v", m)
		}
	})
}
