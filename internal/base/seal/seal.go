package seal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// PlaintextMax is the longest value that can be sealed: this is for secrets,
// not for documents.
const PlaintextMax = 1 << 20

// The refusals. Test with errors.Is.
var (
	ErrCorrupt    = errors.New("seal: value was altered, or sealed in another context")
	ErrUnknownKey = errors.New("seal: value was sealed by a key that is not in the keyset")
	ErrNoContext  = errors.New("seal: no context given")
	ErrTooLarge   = errors.New("seal: value too large")
)

// Sealer seals and opens values. context is not secret and not stored: the same
// must be given to Open as to Seal (see Context).
type Sealer interface {
	Seal(plaintext, context []byte) (ciphertext []byte, err error)
	Open(ciphertext, context []byte) (plaintext []byte, err error)
	// Stale tells whether a value should be opened and sealed again, because
	// another key than the primary sealed it.
	Stale(ciphertext []byte) bool
}

// Move opens a value and seals it again, with the primary key, for another place.
func Move(s Sealer, ciphertext, from, to []byte) ([]byte, error) {
	plain, err := s.Open(ciphertext, from)
	if err != nil {
		return nil, err
	}
	return s.Seal(plain, to)
}

// Renew seals again, in its place, a value that another key than the primary
// sealed. Any other value, and none, it gives back as it is.
func Renew(s Sealer, ciphertext, context []byte) (fresh []byte, renewed bool, err error) {
	if ciphertext == nil || !s.Stale(ciphertext) {
		return ciphertext, false, nil
	}
	fresh, err = Move(s, ciphertext, context, context)
	return fresh, err == nil, err
}

// Context names the place of a value, for instance its table, row and column.
// Each part is preceded by its length, so that no two places have one name.
func Context(parts ...string) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}

// Config says where the keyset lies.
type Config struct {
	Path string // of the keyset file
	// Create makes a new keyset when there is no file: for the embedded
	// default. In production a missing file is a mistake in deployment, and a
	// new keyset would open none of the values that are there.
	Create bool
}

// Validate tells what cannot work.
func (c Config) Validate() error {
	if c.Path == "" {
		return errors.New("seal: no keyset file is named")
	}
	return nil
}

// Keyring is the Sealer of a keyset file. It is safe for concurrent use.
type Keyring struct {
	file keysetFile
	keys atomic.Pointer[keys]
	mu   sync.Mutex // one load or rotation at a time
}

var _ Sealer = (*Keyring)(nil)

// New loads the keyset. A nil wrapper means that the file is in clear.
func New(ctx context.Context, cfg Config, wrapper KeyWrapper) (*Keyring, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	k := &Keyring{file: keysetFile{path: cfg.Path, wrapper: wrapper}}
	if cfg.Create {
		if err := k.file.create(ctx); err != nil {
			return nil, err
		}
	}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Seal encrypts plaintext under the primary key. It returns ErrNoContext or
// ErrTooLarge.
func (k *Keyring) Seal(plaintext, context []byte) ([]byte, error) {
	switch {
	case len(context) == 0:
		return nil, ErrNoContext
	case len(plaintext) > PlaintextMax:
		return nil, ErrTooLarge
	}
	return k.keys.Load().aead.Encrypt(plaintext, context)
}

// Open decrypts what Seal gave. It returns ErrCorrupt, or ErrUnknownKey when
// the key is not in the file either.
func (k *Keyring) Open(ciphertext, context []byte) ([]byte, error) {
	id, ok := keyID(ciphertext)
	if !ok {
		return nil, ErrCorrupt
	}
	ks := k.keys.Load()
	if !ks.ids[id] {
		if _, err := k.Reload(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnknownKey, err)
		}
		if ks = k.keys.Load(); !ks.ids[id] {
			return nil, ErrUnknownKey
		}
	}
	plaintext, err := ks.aead.Decrypt(ciphertext, context)
	if err != nil {
		return nil, ErrCorrupt // tink's error says no more
	}
	return plaintext, nil
}

// Stale tells whether another key than the primary sealed the value.
func (k *Keyring) Stale(ciphertext []byte) bool {
	id, ok := keyID(ciphertext)
	return !ok || id != k.keys.Load().primary
}

// Rotate adds a new primary key to the file and keeps the old ones. Two
// processes that rotate at once add two keys. The file is replaced by one that
// this process's user alone may read: run it as the user who runs the servers.
func (k *Keyring) Rotate(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.file.rotate(ctx); err != nil {
		return err
	}
	return k.load(ctx)
}

// reloadTimeout is how long a key management service may take to unwrap a
// keyset that was met in passing.
const reloadTimeout = 10 * time.Second

// Reload reads the file again if it has changed. After an error the keys that
// were there stay in use.
func (k *Keyring) Reload() (changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.keys.Load().version.outdated(k.file.path) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	return true, k.load(ctx)
}

// Watch calls Reload at intervals until ctx ends, and tells failed of errors.
func (k *Keyring) Watch(ctx context.Context, every time.Duration, failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := k.Reload(); err != nil {
				failed(err)
			}
		}
	}
}

// load puts the file's keys to use. The caller holds mu, or is New.
func (k *Keyring) load(ctx context.Context) error {
	ks, err := k.file.load(ctx)
	if err != nil {
		return err
	}
	k.keys.Store(ks)
	return nil
}
