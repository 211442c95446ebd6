package user_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/user"
)

// newKey makes a public key as a JWK.
func newKey(t *testing.T, alg jose.Algorithm) string {
	t.Helper()
	k, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return string(marshal(t, k.Public()))
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestService_RegisterDevice(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada := b.provision("ada")
		// With members that a key store may add, and space.
		given := ` {"kid":"mine", ` + ownKey[1:] + "\n"
		d, err := b.RegisterDevice(ctx, as(ada), " Ada's phone ", given)
		if err != nil {
			t.Fatal(err)
		}
		// The thumbprint is that of RFC 8037 §A.3.
		if d.Name != "Ada's phone" || d.Thumbprint != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" || d.UserID != ada.ID || d.Mode != 1 || d.RevokedAt != nil {
			t.Errorf("registered %+v", d)
		}
		if active, err := b.DeviceActive(ctx, ada.ID, d.ID); err != nil || !active {
			t.Errorf("active: %v, %v", active, err)
		}
		for _, key := range []string{newKey(t, jose.ES256), newKey(t, jose.RS256)} {
			if _, err := b.RegisterDevice(ctx, as(ada), "Laptop", key); err != nil {
				t.Error(err)
			}
		}
		list, err := b.Devices(ctx, as(ada), page.Slice{Limit: 2})
		if err != nil || len(list.Items) != 2 || !list.HasNext || list.Items[1].ID == d.ID {
			t.Errorf("listed %+v, %v", list, err)
		}
		list, err = b.Devices(ctx, as(ada), page.Slice{Limit: 2, After: user.DevicePosition(list.Items[1])})
		if err != nil || len(list.Items) != 1 || list.Items[0].ID != d.ID {
			t.Errorf("listed %+v, %v", list, err)
		}
		k, err := jose.ParsePublicKey(list.Items[0].PublicKey)
		if err != nil || k.Thumbprint() != d.Thumbprint || k.ID != "mine" {
			t.Errorf("kept %s, %v", list.Items[0].PublicKey, err)
		}
		if len(b.audited(d.ID)) != 0 {
			t.Error("a user's own act is in the audit log")
		}
	})
}

func TestService_RevokeDevice(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := b.provision("ada"), b.provision("bob")
		d, err := b.RegisterDevice(ctx, as(ada), "Phone", ownKey)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.RevokeDevice(ctx, as(bob), d.ID)
		refused(t, err, user.ErrDeviceNotFound)
		_, err = b.RevokeDevice(ctx, as(ada), id.New())
		refused(t, err, user.ErrDeviceNotFound)

		revoked, err := b.RevokeDevice(ctx, as(ada), d.ID)
		if err != nil || revoked.RevokedAt == nil {
			t.Fatalf("revoked %+v, %v", revoked, err)
		}
		if got := b.heard(); !slices.Equal(got, []auth.Revocation{{UserID: ada.ID, DeviceID: d.ID}}) {
			t.Errorf("revoked %+v", got)
		}
		b.clock.Advance(time.Hour)
		again, err := b.RevokeDevice(ctx, as(ada), d.ID)
		if err != nil || !again.RevokedAt.Equal(*revoked.RevokedAt) || len(b.heard()) != 0 {
			t.Errorf("revoked again: %+v, %v", again, err)
		}
		if active, err := b.DeviceActive(ctx, ada.ID, d.ID); err != nil || active {
			t.Errorf("active: %v, %v", active, err)
		}
		_, err = b.RegisterDevice(ctx, as(ada), "Phone", ownKey)
		refused(t, err, user.ErrDeviceExists, "publicKey")
		// Somebody else may own the phone now.
		bobs, err := b.RegisterDevice(ctx, as(bob), "Phone", ownKey)
		if err != nil {
			t.Fatal(err)
		}
		if active, err := b.DeviceActive(ctx, ada.ID, bobs.ID); err != nil || active {
			t.Errorf("bob's device is active for ada: %v, %v", active, err)
		}
		mine, err := b.DevicesByIDs(ctx, as(ada), []id.ID{d.ID, bobs.ID})
		if err != nil || len(mine) != 1 || mine[d.ID].ID != d.ID {
			t.Errorf("ada's are %v, %v", mine, err)
		}
	})
}

func TestService_RegisterDevice_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada := b.provision("ada")
		for _, name := range []string{"", "\t", "a\nb", strings.Repeat("a", 201)} {
			_, err := b.RegisterDevice(ctx, as(ada), name, ownKey)
			refused(t, err, user.ErrText, "name")
		}
		private, err := jose.Generate(jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := private.MarshalPrivate()
		if err != nil {
			t.Fatal(err)
		}
		for what, key := range map[string]string{
			"nothing":        "",
			"no JSON":        "key",
			"a private key":  string(secret),
			"a secret":       `{"kty":"oct","k":"c2VjcmV0"}`,
			"P-384":          newKey(t, "ES384"),
			"for agreement":  newKey(t, jose.ECDHESA256KW),
			"for encryption": `{"use":"enc",` + ownKey[1:],
			"for PS256":      strings.Replace(newKey(t, jose.RS256), `"RS256"`, `"PS256"`, 1),
			"short RSA":      `{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("u", 170) + `w"}`,
			"too long":       strings.Repeat(" ", 1<<16) + ownKey,
		} {
			t.Log(what)
			_, err := b.RegisterDevice(ctx, as(ada), "Phone", key)
			refused(t, err, user.ErrKey)
		}
		if _, err := b.Block(ctx, server, ada.ID, true); err != nil {
			t.Fatal(err)
		}
		_, err = b.RegisterDevice(ctx, as(ada), "Phone", ownKey)
		refused(t, err, errs.ErrUnauthenticated)
	})
}

func TestService_RegisterDevice_Limit(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada := b.provision("ada")
		keys := make([]string, user.DevicesMax+5)
		for i := range keys {
			keys[i] = newKey(t, jose.EdDSA)
		}
		var all sync.WaitGroup
		var made atomic.Int32
		for i, key := range keys {
			all.Go(func() {
				_, err := b.RegisterDevice(ctx, as(ada), fmt.Sprint("Phone ", i), key)
				if err == nil {
					made.Add(1)
					return
				}
				refused(t, err, user.ErrDeviceLimit)
			})
		}
		all.Wait()
		if made.Load() != user.DevicesMax {
			t.Fatalf("%d devices were registered", made.Load())
		}
		list, err := b.Devices(ctx, as(ada), page.Slice{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.RevokeDevice(ctx, as(ada), list.Items[0].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.RegisterDevice(ctx, as(ada), "New phone", ownKey); err != nil {
			t.Error(err)
		}
	})
}

func TestService_RegisterDevice_SameKeyAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ada := b.provision("ada")
		var all sync.WaitGroup
		var made atomic.Int32
		for range 8 {
			all.Go(func() {
				_, err := b.RegisterDevice(t.Context(), as(ada), "Phone", ownKey)
				if err == nil {
					made.Add(1)
					return
				}
				refused(t, err, user.ErrDeviceExists)
			})
		}
		all.Wait()
		if made.Load() != 1 {
			t.Errorf("%d devices were registered", made.Load())
		}
	})
}

func TestService_RevokeToken(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := as(b.provision("ada")), as(b.provision("bob"))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := b.RevokeToken(ctx, ada); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, said := range b.heard() {
			if said != (auth.Revocation{TokenID: ada.TokenID}) {
				t.Errorf("revoked %+v", said)
			}
		}
		for v, want := range map[auth.Viewer]bool{ada: true, bob: false} {
			if got, err := b.TokenRevoked(ctx, v.TokenID); err != nil || got != want {
				t.Errorf("%s revoked: %v, %v", v.TokenID, got, err)
			}
		}
		unnamed := ada
		unnamed.TokenID = ""
		refused(t, b.RevokeToken(ctx, unnamed), errs.ErrForbidden)

		prune := func(want int) {
			t.Helper()
			if n, err := b.PruneTokens(ctx, 10); err != nil || n != want {
				t.Errorf("pruned %d, %v", n, err)
			}
		}
		prune(0)
		b.clock.Advance(time.Hour + time.Minute) // expired, but not for every clock
		prune(0)
		b.clock.Advance(time.Hour)
		prune(1)
		if got, err := b.TokenRevoked(ctx, ada.TokenID); err != nil || got {
			t.Errorf("still there: %v, %v", got, err)
		}
	})
}
