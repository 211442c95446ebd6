package auth

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/soukhq/souk/internal/base/id"
)

const revokedTopic = "auth:revoked"

// Revocation says whose tokens, issued until now, no longer count. It names one
// of these.
type Revocation struct {
	UserID     id.ID  `json:"user,omitzero"`
	DeviceID   id.ID  `json:"device,omitzero"` // with UserID: only the tokens made for this device
	MerchantID id.ID  `json:"merchant,omitzero"`
	TokenID    string `json:"token,omitempty"`
}

// ends tells whether the viewer's token is among those.
func (r Revocation) ends(v Viewer) bool {
	switch {
	case r.UserID != id.Nil:
		return r.UserID == v.UserID && (r.DeviceID == id.Nil || r.DeviceID == v.DeviceID)
	case r.MerchantID != id.Nil:
		return r.MerchantID == v.MerchantID
	default:
		return r.TokenID != "" && r.TokenID == v.TokenID
	}
}

// Revoked is called after a revocation was committed: a user blocked, removed or
// signed out everywhere, a device or token revoked, a merchant suspended or its
// keys changed. When it returns, this process knows; the others learn at once.
func (v *Verifier) Revoked(ctx context.Context, r Revocation) {
	v.apply(r)
	payload, err := json.Marshal(r)
	if err != nil {
		panic(err) // of ids and strings
	}
	v.deps.Bus.Publish(ctx, revokedTopic, payload)
}

func (v *Verifier) apply(r Revocation) {
	v.changes.note(r)
	v.watchers.end(r.ends)
}

// listen hears of other processes' revocations. When it may have missed some, it
// forgets all that it knows and looks at every watched viewer again.
func (v *Verifier) listen(ctx context.Context) {
	heard := v.deps.Bus.SubscribeQueue(ctx, revokedTopic, 256)
	again := time.NewTicker(trustForAlone)
	defer again.Stop()
	unsure := false
	for {
		select {
		case payload, open := <-heard:
			var r Revocation
			switch {
			case !open:
				return
			case json.Unmarshal(payload, &r) == nil:
				v.apply(r)
			default: // a wake-up: anything may have happened
				v.changes.noteAll()
				unsure = true
			}
		case <-again.C:
		}
		if unsure || !v.deps.Bus.Connected() {
			unsure = !v.recheck(ctx)
		}
	}
}

// changes counts revocations, so that an answer can tell whether it is older
// than one that concerns it. Viewers share counters by hash: a collision costs
// one more question.
type changes struct {
	seed  maphash.Seed
	total atomic.Uint64
	all   atomic.Uint64
	slots [1024]atomic.Uint64
}

func (c *changes) slotOf(u id.ID) *atomic.Uint64 {
	return &c.slots[binary.BigEndian.Uint16(u[14:])%1024] // the random end of an id
}

func (c *changes) slotOfToken(jti string) *atomic.Uint64 {
	return &c.slots[maphash.String(c.seed, jti)%1024]
}

// seen grows with each revocation, before mark does: whoever finds it unchanged
// around a question has a mark from before any revocation that it missed.
func (c *changes) seen() uint64 { return c.total.Load() }

// mark differs after a revocation that concerns the viewer.
func (c *changes) mark(v Viewer) uint64 {
	m := c.all.Load()
	if v.UserID != id.Nil {
		m += c.slotOf(v.UserID).Load()
	}
	if v.MerchantID != id.Nil {
		m += c.slotOf(v.MerchantID).Load()
	}
	if v.TokenID != "" {
		m += c.slotOfToken(v.TokenID).Load()
	}
	return m
}

func (c *changes) note(r Revocation) {
	c.total.Add(1)
	switch {
	case r.UserID != id.Nil:
		c.slotOf(r.UserID).Add(1)
	case r.MerchantID != id.Nil:
		c.slotOf(r.MerchantID).Add(1)
	case r.TokenID != "":
		c.slotOfToken(r.TokenID).Add(1)
	}
}

func (c *changes) noteAll() {
	c.total.Add(1)
	c.all.Add(1)
}
