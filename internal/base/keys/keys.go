package keys

import (
	"cmp"
	"slices"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
)

// Purpose is what a key is for. A key serves one purpose only.
type Purpose string

// The purposes.
const (
	Token      Purpose = "TOKEN"      // signs the tokens of the embedded issuer
	Order      Purpose = "ORDER"      // signs what merchants are sent
	Encryption Purpose = "ENCRYPTION" // merchants encrypt their answers to it
)

// pseudonym is the purpose of a secret, of which there is no public half.
const pseudonym Purpose = "PSEUDONYM"

// algorithms says how the keys of each purpose work.
var algorithms = map[Purpose]jose.Algorithm{
	Token:      jose.EdDSA,
	Order:      jose.EdDSA,
	Encryption: jose.ECDHESA256KW,
}

// Purposes gives all purposes, in the order in which their keys are published.
func Purposes() []Purpose { return []Purpose{Token, Order, Encryption} }

// key is a row of the table.
type key struct {
	id        id.ID
	kid       string
	purpose   Purpose
	public    []byte // JWK
	private   []byte // sealed
	createdAt time.Time
	useFrom   time.Time
	retireAt  *time.Time
	ready     *jose.Key // opened; nil until load
}

// successorID names the key that follows another; that follows nothing, if it is
// the first of its purpose.
func successorID(p Purpose, before id.ID) id.ID {
	return id.Of("signing key", string(p), before.String())
}

// ring is the keys at one moment, oldest first within a purpose.
type ring struct {
	keys     []key
	loadedAt time.Time
}

// live gives the keys of a purpose that are published at a time.
func (r *ring) live(p Purpose, now time.Time) []key {
	var out []key
	for _, k := range r.keys {
		if k.purpose == p && (k.retireAt == nil || now.Before(*k.retireAt)) {
			out = append(out, k)
		}
	}
	return out
}

// current gives the key of a purpose that is used at a time: the newest whose
// time has come.
func (r *ring) current(p Purpose, now time.Time) (key, bool) {
	for _, k := range slices.Backward(r.live(p, now)) {
		if !k.useFrom.After(now) {
			return k, true
		}
	}
	return key{}, false
}

// published gives the keys of a purpose, the one in use first: whoever takes the
// first that suits him, as many libraries do, then takes the right one.
func (r *ring) published(p Purpose, now time.Time) []*jose.Key {
	rank := func(k key) time.Duration {
		if k.useFrom.After(now) {
			return 1<<63 - 1 // the next one comes last
		}
		return now.Sub(k.useFrom)
	}
	live := r.live(p, now)
	slices.SortStableFunc(live, func(a, b key) int { return cmp.Compare(rank(a), rank(b)) })
	out := make([]*jose.Key, len(live))
	for i, k := range live {
		out[i] = k.ready
	}
	return out
}
