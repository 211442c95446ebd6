package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/seal"
	"github.com/soukhq/souk/internal/base/store"
)

// Keys gives this process Souk's keys. It is safe for concurrent use. Its
// methods may write to the database and are not to be called in a transaction.
type Keys struct {
	db     *store.DB
	sealer seal.Sealer
	clock  clock.Clock
	cfg    Config

	mu   sync.Mutex // one load at a time
	ring atomic.Pointer[ring]
}

// New makes the keys' keeper. It reads nothing yet.
func New(db *store.DB, s seal.Sealer, c clock.Clock, cfg Config) (*Keys, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Keys{db: db, sealer: s, clock: c, cfg: cfg.withDefaults()}, nil
}

// Ensure makes the first key of every purpose in use that has none, so that a server
// publishes them all from its start.
func (k *Keys) Ensure(ctx context.Context) error {
	for _, p := range k.cfg.Purposes {
		if _, err := k.Signer(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// Signer gives the private key of a purpose that is used now.
func (k *Keys) Signer(ctx context.Context, p Purpose) (*jose.Key, error) {
	r, err := k.with(ctx, p)
	if err != nil {
		return nil, err
	}
	current, ok := r.current(p, k.now())
	if !ok {
		return nil, fmt.Errorf("keys: no %s key is in use", p)
	}
	return current.ready, nil
}

// SigningKey gives the key that signs the embedded issuer's tokens.
func (k *Keys) SigningKey(ctx context.Context) (*jose.Key, error) { return k.Signer(ctx, Token) }

// Verifiers gives the published keys of one purpose.
func (k *Keys) Verifiers(ctx context.Context, p Purpose) (*jose.KeySet, error) {
	r, err := k.with(ctx, p)
	if err != nil {
		return nil, err
	}
	return publicSet(r.published(p, k.now()))
}

// PublicJWKS gives all published keys, for /.well-known/jwks.json.
func (k *Keys) PublicJWKS(ctx context.Context) (*jose.KeySet, error) {
	var all []*jose.Key
	for _, p := range k.cfg.Purposes {
		r, err := k.with(ctx, p)
		if err != nil {
			return nil, err
		}
		all = append(all, r.published(p, k.now())...)
	}
	return publicSet(all)
}

// Decrypters gives the private keys with which what was encrypted to Souk can be
// read.
func (k *Keys) Decrypters(ctx context.Context) (*jose.KeySet, error) {
	r, err := k.with(ctx, Encryption)
	if err != nil {
		return nil, err
	}
	return jose.NewKeySet(r.published(Encryption, k.now())...)
}

// PseudonymSecret gives the secret of 32 bytes from which buyers' pseudonyms are
// made. It never changes, or every merchant would take its buyers for others.
func (k *Keys) PseudonymSecret(ctx context.Context) ([]byte, error) {
	row, err := k.first(ctx, pseudonym)
	if errors.Is(err, errNone) {
		if err = k.create(ctx, pseudonym, id.Nil, k.now()); err == nil {
			row, err = k.first(ctx, pseudonym)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("keys: pseudonym secret: %w", err)
	}
	return k.sealer.Open(row.private, sealContext(row.kid))
}

// Rotate makes the successor of the newest key of a purpose, and tells from when
// on it is used. While a successor waits for its time, no other is made: the
// answer is then when that one takes over.
func (k *Keys) Rotate(ctx context.Context, p Purpose) (useFrom time.Time, err error) {
	if !slices.Contains(k.cfg.Purposes, p) {
		return useFrom, fmt.Errorf("there is no %s key here to rotate", p)
	}
	if _, err := k.with(ctx, p); err != nil {
		return useFrom, err
	}
	newest, err := k.newest(ctx, p)
	if err != nil {
		return useFrom, fmt.Errorf("keys: rotate: %w", err)
	}
	if now := k.now(); !newest.useFrom.After(now) {
		if err := k.create(ctx, p, newest.id, now.Add(k.cfg.PublicationDelay)); err != nil {
			return useFrom, fmt.Errorf("keys: rotate: %w", err)
		}
		if newest, err = k.newest(ctx, p); err != nil {
			return useFrom, fmt.Errorf("keys: rotate: %w", err)
		}
	}
	_, err = k.load(ctx, nil)
	return newest.useFrom, err
}

// Prune forgets the keys that were retired before a time, and with them all that
// was ever encrypted to them.
func (k *Keys) Prune(ctx context.Context, before time.Time) (n int, err error) {
	err = k.db.InTx(ctx, func(ctx context.Context) error {
		n, err = k.deleteRetired(ctx, before)
		return err
	})
	return n, err
}

// Reseal seals again what an older key of the keyset had sealed, and tells how
// many rows it changed.
func (k *Keys) Reseal(ctx context.Context) (n int, err error) {
	err = k.db.InTx(ctx, func(ctx context.Context) error {
		n = 0
		rows, err := k.lockAll(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			sealed, renewed, err := seal.Renew(k.sealer, row.private, sealContext(row.kid))
			if err != nil {
				return err
			}
			if !renewed {
				continue
			}
			if err := k.updatePrivate(ctx, row.id, sealed); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("keys: reseal: %w", err)
	}
	return n, nil
}

func (k *Keys) now() time.Time { return k.clock.Now(mode.Live) }

// with gives the ring with a key of the purpose in use, and makes the first one
// if there is none.
func (k *Keys) with(ctx context.Context, p Purpose) (*ring, error) {
	r, err := k.fresh(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := r.current(p, k.now()); ok {
		return r, nil
	}
	if r, err = k.load(ctx, r); err != nil {
		return nil, err
	}
	if _, ok := r.current(p, k.now()); ok {
		return r, nil
	}
	if err := k.create(ctx, p, id.Nil, k.now()); err != nil {
		return nil, fmt.Errorf("keys: first key: %w", err)
	}
	return k.load(ctx, r)
}

// fresh gives the ring, looked at not long ago. While the database is away, the
// keys that were known stay in use: they do not change for many times Reload.
func (k *Keys) fresh(ctx context.Context) (*ring, error) {
	seen := k.ring.Load()
	if seen != nil && k.now().Sub(seen.loadedAt) < k.cfg.Reload {
		return seen, nil
	}
	r, err := k.load(ctx, seen)
	if err != nil && seen != nil && ctx.Err() == nil {
		kept := &ring{keys: seen.keys, loadedAt: k.now()}
		k.ring.CompareAndSwap(seen, kept) // not every call is to wait for a database that is away
		return kept, nil
	}
	return r, err
}

// load reads the keys, unless another has read them since the caller saw.
func (k *Keys) load(ctx context.Context, seen *ring) (*ring, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := k.ring.Load()
	if seen != nil && known != seen {
		return known, nil
	}
	r := &ring{loadedAt: k.now()}
	rows, err := k.published(ctx, r.loadedAt)
	if err != nil {
		return nil, fmt.Errorf("keys: load: %w", err)
	}
	for _, row := range rows {
		if row.ready, err = k.open(row, known); err != nil {
			return nil, fmt.Errorf("keys: open %s: %w", row.kid, err)
		}
		r.keys = append(r.keys, row)
	}
	k.ring.Store(r)
	return r, nil
}

// open makes a row's key ready, or takes it from what was known.
func (k *Keys) open(row key, known *ring) (*jose.Key, error) {
	if known != nil {
		for _, old := range known.keys {
			if old.id == row.id {
				return old.ready, nil
			}
		}
	}
	private, err := k.sealer.Open(row.private, sealContext(row.kid))
	if err != nil {
		return nil, err
	}
	return jose.ParseKey(private)
}

// create makes the key that follows another, unless somebody else has; from
// useFrom on the other is on its way out.
func (k *Keys) create(ctx context.Context, p Purpose, before id.ID, useFrom time.Time) error {
	row := key{id: successorID(p, before), purpose: p, createdAt: k.now(), useFrom: useFrom}
	private, err := row.generate()
	if err != nil {
		return err
	}
	if row.private, err = k.sealer.Seal(private, sealContext(row.kid)); err != nil {
		return err
	}
	return k.db.InTx(ctx, func(ctx context.Context) error {
		mine, err := k.insert(ctx, row)
		if err != nil || !mine || before == id.Nil {
			return err
		}
		return k.retire(ctx, before, useFrom.Add(k.cfg.Overlap))
	})
}

// generate makes the row's key, or its secret.
func (row *key) generate() (private []byte, err error) {
	alg, isKey := algorithms[row.purpose]
	if !isKey {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret) // never fails
		row.kid, row.public = row.id.String(), []byte("{}")
		return secret, nil
	}
	made, err := jose.Generate(alg)
	if err != nil {
		return nil, err
	}
	row.kid = made.ID
	if row.public, err = made.MarshalJSON(); err != nil {
		return nil, err
	}
	return made.MarshalPrivate()
}

// sealContext binds a private half to its row, so that one that was copied over
// another's does not open.
func sealContext(kid string) []byte { return seal.Context("signing_keys", kid, "private") }

func publicSet(keys []*jose.Key) (*jose.KeySet, error) {
	public := make([]*jose.Key, len(keys))
	for i, k := range keys {
		public[i] = k.Public()
	}
	return jose.NewKeySet(public...)
}
