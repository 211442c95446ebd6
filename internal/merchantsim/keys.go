package merchantsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/soukhq/souk/internal/base/jose"
)

// Keys are a merchant's two private keys. One key must not serve both uses
// (RFC 7517 §4.2, NIST SP 800-57 part 1 §5.2): opening what a stranger sent must
// never amount to signing it.
type Keys struct {
	Sign    *jose.Key // Ed25519: signs answers and product cards
	Decrypt *jose.Key // P-256: Souk encrypts orders to it by ECDH-ES+A256KW
}

// GenerateKeys makes new keys, each named by its thumbprint (RFC 7638).
func GenerateKeys() (*Keys, error) {
	sign, err := jose.Generate(jose.EdDSA)
	if err != nil {
		return nil, fmt.Errorf("merchantsim: %w", err)
	}
	decrypt, err := jose.Generate(jose.ECDHESA256KW)
	if err != nil {
		return nil, fmt.Errorf("merchantsim: %w", err)
	}
	return &Keys{Sign: sign, Decrypt: decrypt}, nil
}

// JWKS gives the public halves, as they are published and registered with Souk.
func (k *Keys) JWKS() ([]byte, error) {
	set, err := jose.NewKeySet(k.Sign.Public(), k.Decrypt.Public())
	if err != nil {
		return nil, fmt.Errorf("merchantsim: %w", err)
	}
	return json.Marshal(set)
}

// keyFile is how the keys are kept.
type keyFile struct {
	Sign    json.RawMessage `json:"sign"`
	Decrypt json.RawMessage `json:"decrypt"`
}

// LoadKeys reads the keys of a data folder, and makes them the first time.
func LoadKeys(folder string) (*Keys, error) {
	if err := makeFolder(folder); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "keys.json")
	keys, err := readKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if keys, err = GenerateKeys(); err != nil {
		return nil, err
	}
	if err := keys.write(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readKeys(path) // another process may have been first
}

func readKeys(path string) (*Keys, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("merchantsim: keys: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("merchantsim: keys: others can read %s: chmod 600 it, or remove it for new keys", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("merchantsim: keys: %w", err)
	}
	var f keyFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("merchantsim: keys: %s is damaged: %w", path, err)
	}
	sign, err := jose.ParseKey(f.Sign)
	if err != nil {
		return nil, fmt.Errorf("merchantsim: keys: %w", err)
	}
	decrypt, err := jose.ParseKey(f.Decrypt)
	if err != nil {
		return nil, fmt.Errorf("merchantsim: keys: %w", err)
	}
	return &Keys{Sign: sign, Decrypt: decrypt}, nil
}

// write puts the keys into a new file, whole or not at all: Link fails if there
// is one already, where Rename would replace it.
func (k *Keys) write(path string) error {
	sign, err := k.Sign.MarshalPrivate()
	if err != nil {
		return fmt.Errorf("merchantsim: keys: %w", err)
	}
	decrypt, err := k.Decrypt.MarshalPrivate()
	if err != nil {
		return fmt.Errorf("merchantsim: keys: %w", err)
	}
	data, err := json.MarshalIndent(keyFile{Sign: sign, Decrypt: decrypt}, "", "  ")
	if err != nil {
		return fmt.Errorf("merchantsim: keys: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // 0600
	if err != nil {
		return fmt.Errorf("merchantsim: keys: %w", err)
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // a left-over is harmless
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("merchantsim: keys: %w", err)
	}
	if err := os.Link(temp.Name(), path); err != nil {
		return fmt.Errorf("merchantsim: keys: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a new file's name as durable as its content.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
