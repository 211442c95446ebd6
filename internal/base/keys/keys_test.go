package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/keys"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/seal"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type testBundle struct {
	db    *store.DB
	clock *clock.Fixed
	ring  *seal.Keyring
	keys  *keys.Keys
}

func setup(t *testing.T, db *store.DB) *testBundle {
	t.Helper()
	b := &testBundle{db: db, clock: clock.NewFixed(noon), ring: newKeyring(t)}
	b.keys = b.process(t, db)
	return b
}

// process is another process of the same installation.
func (b *testBundle) process(t *testing.T, db *store.DB) *keys.Keys {
	t.Helper()
	k, err := keys.New(db, b.ring, b.clock, keys.Config{PublicationDelay: time.Hour, Overlap: 24 * time.Hour, Reload: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newKeyring(t *testing.T) *seal.Keyring {
	t.Helper()
	ring, err := seal.New(t.Context(), seal.Config{Path: filepath.Join(t.TempDir(), "keyset.json"), Create: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestKeys_SignPublishDecrypt(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		published := b.published(t)
		if published.Len() != 3 {
			t.Fatalf("%d keys are published, want one for each purpose", published.Len())
		}
		signer := b.signer(t, keys.Order)
		signed, err := jose.Sign([]byte(`{"exp":1e11}`), signer, "souk-order+jwt")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jose.Verify(signed, jose.VerifyOptions{Keys: published, Now: noon, Typ: "souk-order+jwt"}); err != nil {
			t.Errorf("what Souk signed does not verify: %v", err)
		}
		if token := b.signer(t, keys.Token); token.ID == signer.ID {
			t.Error("one key serves two purposes")
		}
		sealed, err := jose.Encrypt([]byte("secret"), firstFor(t, published, jose.UseEncryption), "")
		if err != nil {
			t.Fatal(err)
		}
		private, err := b.keys.Decrypters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := jose.Decrypt(sealed, jose.DecryptOptions{Keys: private}); err != nil || string(opened.Plaintext) != "secret" {
			t.Errorf("what was encrypted to Souk does not open: %v", err)
		}
	})
}

func TestKeys_PublicJWKS_HoldsNothingPrivate(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		text, err := json.Marshal(b.published(t))
		if err != nil {
			t.Fatal(err)
		}
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal(text, &set); err != nil {
			t.Fatal(err)
		}
		for _, k := range set.Keys {
			if k["d"] != nil || k["kid"] == "" || k["use"] == "" || k["alg"] == "" {
				t.Errorf("a key is published as %v", k)
			}
		}
		var rows int
		count(t, db, "SELECT count(*) FROM signing_keys WHERE CAST(private AS text) LIKE '%\"d\"%'", &rows)
		if rows != 0 {
			t.Error("a private key lies open in the database")
		}
	})
}

func TestKeys_FirstKey_ManyProcessesAtOnce(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, url string) {
		first, second := testkit.OpenStore(t, url), testkit.OpenStore(t, url)
		b := setup(t, first)
		var all sync.WaitGroup
		var mu sync.Mutex
		kids, secrets := map[string]bool{}, map[string]bool{}
		for i := range 16 {
			process := b.process(t, []*store.DB{first, second}[i%2])
			all.Go(func() {
				key, err := process.Signer(t.Context(), keys.Order)
				secret, errSecret := process.PseudonymSecret(t.Context())
				if err := errors.Join(err, errSecret); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				kids[key.ID], secrets[string(secret)] = true, true
			})
		}
		all.Wait()
		if len(kids) != 1 || len(secrets) != 1 {
			t.Errorf("the processes have %d keys and %d secrets, want one of each", len(kids), len(secrets))
		}
	})
}

func TestKeys_Rotate(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		other := b.process(t, db)
		old := b.signer(t, keys.Order)
		if err := other.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		from, err := b.keys.Rotate(t.Context(), keys.Order)
		if err != nil || !from.Equal(noon.Add(time.Hour)) {
			t.Fatalf("Rotate = %v, %v", from, err)
		}
		if again, err := b.keys.Rotate(t.Context(), keys.Order); err != nil || !again.Equal(from) {
			t.Errorf("a second rotation gave %v, %v", again, err)
		}
		b.clock.Advance(time.Minute) // the other process looks again
		for _, process := range []*keys.Keys{b.keys, other} {
			set, err := process.Verifiers(t.Context(), keys.Order)
			if err != nil || set.Len() != 2 || set.Keys()[0].ID != old.ID {
				t.Fatalf("before its time the new key is not published behind the old one: %v, %v", set, err)
			}
			if now, err := process.Signer(t.Context(), keys.Order); err != nil || now.ID != old.ID {
				t.Errorf("the new key is used before its time: %v", err)
			}
		}
		b.clock.Advance(time.Hour)
		next := b.signer(t, keys.Order)
		if set, _ := other.Verifiers(t.Context(), keys.Order); next.ID == old.ID || set.Keys()[0].ID != next.ID || set.ByID(old.ID) == nil {
			t.Error("after its time the new key is not used, or the old one no longer accepted")
		}
		b.clock.Advance(24 * time.Hour)
		if set, _ := b.keys.Verifiers(t.Context(), keys.Order); set.Len() != 1 || set.ByID(next.ID) == nil {
			t.Error("the old key was not retired")
		}
		if n, err := b.keys.Prune(t.Context(), b.clock.Now(mode.Live)); err != nil || n != 1 {
			t.Errorf("Prune = %d, %v", n, err)
		}
		if b.signer(t, keys.Order).ID != next.ID {
			t.Error("pruning changed the key in use")
		}
	})
}

func TestKeys_Rotate_TwoProcessesAtOnce(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, url string) {
		first, second := testkit.OpenStore(t, url), testkit.OpenStore(t, url)
		b := setup(t, first)
		b.signer(t, keys.Encryption)
		var all sync.WaitGroup
		for i := range 8 {
			process := b.process(t, []*store.DB{first, second}[i%2])
			all.Go(func() {
				if _, err := process.Rotate(t.Context(), keys.Encryption); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		b.clock.Advance(time.Minute)
		if set, err := b.keys.Decrypters(t.Context()); err != nil || set.Len() != 2 {
			t.Errorf("after rotations at once there are %d keys, want 2 (%v)", set.Len(), err)
		}
	})
}

func TestKeys_Rotate_UnknownPurpose(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		if _, err := setup(t, db).keys.Rotate(t.Context(), "PSEUDONYM"); err == nil {
			t.Error("the pseudonyms' secret was rotated")
		}
	})
}

// Where another issuer mints the tokens, there is no key for them.
func TestKeys_UnusedPurpose(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		k, err := keys.New(db, b.ring, b.clock, keys.Config{Purposes: []keys.Purpose{keys.Order, keys.Encryption}})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if set, err := k.PublicJWKS(t.Context()); err != nil || len(set.Keys()) != 2 {
			t.Errorf("published are %v, %v", set, err)
		}
		if _, err := k.Rotate(t.Context(), keys.Token); err == nil {
			t.Error("a key that nobody uses was rotated")
		}
	})
}

func TestKeys_SurviveRestartAndKeysetRotation(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		kid, secret := b.signer(t, keys.Token).ID, b.secret(t)
		if err := b.ring.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := b.keys.Reseal(t.Context()); err != nil || n != 2 {
			t.Errorf("Reseal = %d, %v", n, err)
		}
		if n, err := b.keys.Reseal(t.Context()); err != nil || n != 0 {
			t.Errorf("a second Reseal = %d, %v", n, err)
		}
		b.keys = b.process(t, db)
		if b.signer(t, keys.Token).ID != kid || b.secret(t) != secret {
			t.Error("after a restart the keys are others")
		}
	})
}

func TestKeys_PrivateHalfOfAnotherRowIsRefused(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		if err := b.keys.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		run(t, db, `UPDATE signing_keys SET private = (SELECT private FROM signing_keys WHERE purpose = 'TOKEN') WHERE purpose = 'ORDER'`)
		if _, err := b.process(t, db).Signer(t.Context(), keys.Order); !errors.Is(err, seal.ErrCorrupt) {
			t.Errorf("a swapped private key was used: %v", err)
		}
	})
}

func TestKeys_DatabaseAway(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		kid := b.signer(t, keys.Order).ID
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(10 * time.Minute)
		if got := b.signer(t, keys.Order).ID; got != kid {
			t.Errorf("with the database away the key is %s, want %s", got, kid)
		}
	})
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]keys.Config{
		"negative":      {Overlap: -time.Second},
		"reload slower": {PublicationDelay: time.Second, Reload: time.Second},
	} {
		if cfg.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := (keys.Config{}).Validate(); err != nil {
		t.Errorf("the default is refused: %v", err)
	}
}

func (b *testBundle) signer(t *testing.T, p keys.Purpose) *jose.Key {
	t.Helper()
	k, err := b.keys.Signer(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (b *testBundle) secret(t *testing.T) string {
	t.Helper()
	s, err := b.keys.PseudonymSecret(t.Context())
	if err != nil || len(s) != 32 {
		t.Fatalf("a secret of %d bytes: %v", len(s), err)
	}
	return string(s)
}

func (b *testBundle) published(t *testing.T) *jose.KeySet {
	t.Helper()
	set, err := b.keys.PublicJWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func firstFor(t *testing.T, set *jose.KeySet, use string) *jose.Key {
	t.Helper()
	for _, k := range set.Keys() {
		if k.Use == use {
			return k
		}
	}
	t.Fatalf("no key for %s", use)
	return nil
}

func run(t *testing.T, db *store.DB, statement string) {
	t.Helper()
	if _, err := db.SQL(t.Context()).ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *store.DB, query string, n *int) {
	t.Helper()
	rows, err := db.SQL(context.Background()).QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
