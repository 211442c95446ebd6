package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// The headers of a signed message (Standard Webhooks, "Webhook Headers").
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// What can be wrong with a signed message or with what it is signed with.
var (
	ErrSecret    = errors.New("webhook: unreadable secret")
	ErrMessage   = errors.New("webhook: malformed id, timestamp or signature")
	ErrSignature = errors.New("webhook: no signature is right")
	ErrTimestamp = errors.New("webhook: too old or too new")
)

const (
	secretPrefix  = "whsec_"
	version       = "v1" // HMAC-SHA256
	secretBytes   = 32   // the standard asks for 24 to 64
	maxSignatures = 16   // how many of a header's signatures are looked at
)

// NewSecret makes a secret for an endpoint.
func NewSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

// Sign gives one signature of a message, "v1," and the MAC over id, time and
// payload as they are sent. The payload must be sent byte for byte.
//
// It returns ErrSecret, or ErrMessage for an id that is empty or holds a full
// stop, which separates the parts that are signed.
func Sign(secret, id string, at time.Time, payload []byte) (string, error) {
	mac, err := sign(secret, id, strconv.FormatInt(at.Unix(), 10), payload)
	if err != nil {
		return "", err
	}
	return version + "," + base64.StdEncoding.EncodeToString(mac), nil
}

// SignAll gives the value of the signature header for an endpoint whose secret is
// being exchanged: one signature for each secret, with a space between.
func SignAll(secrets []string, id string, at time.Time, payload []byte) (string, error) {
	all := make([]string, 0, len(secrets))
	for _, secret := range secrets {
		s, err := Sign(secret, id, at, payload)
		if err != nil {
			return "", err
		}
		all = append(all, s)
	}
	return strings.Join(all, " "), nil
}

// Received is a message as its receiver gets it: the three headers and the body,
// as they came.
type Received struct {
	ID        string
	Timestamp string
	Signature string
	Payload   []byte
}

// Verify checks that one of a message's signatures was made with one of the
// secrets, and that it was made no further than tolerance from now: a message
// that was overheard must not be played again much later.
//
// It returns ErrMessage, ErrTimestamp, ErrSecret or ErrSignature.
func Verify(secrets []string, m Received, now time.Time, tolerance time.Duration) error {
	seconds, err := strconv.ParseInt(m.Timestamp, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != m.Timestamp {
		return ErrMessage
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return ErrTimestamp
	}
	given := signatures(m.Signature)
	ok := false
	for _, secret := range secrets {
		mac, err := sign(secret, m.ID, m.Timestamp, m.Payload)
		if err != nil {
			return err
		}
		for _, g := range given {
			ok = hmac.Equal(mac, g) || ok
		}
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

// signatures reads the MACs of the version that is known; others are skipped, so
// that a sender may add new ones.
func signatures(header string) [][]byte {
	var out [][]byte
	for s := range strings.SplitSeq(header, " ") {
		text, ok := strings.CutPrefix(s, version+",")
		if !ok {
			continue
		}
		if mac, err := base64.StdEncoding.DecodeString(text); err == nil && len(out) < maxSignatures {
			out = append(out, mac)
		}
	}
	return out
}

func sign(secret, id, timestamp string, payload []byte) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil || len(key) == 0 {
		return nil, ErrSecret
	}
	if id == "" || strings.Contains(id, ".") {
		return nil, ErrMessage
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(payload)
	return mac.Sum(nil), nil
}
