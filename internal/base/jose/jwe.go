package jose

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"

	josecipher "github.com/go-jose/go-jose/v4/cipher"
	"github.com/go-jose/go-jose/v4/json"
)

// DecryptOptions says which encrypted tokens are accepted, and who can open
// them.
type DecryptOptions struct {
	Keys *KeySet // private keys
	// Algorithms allowed for the content key; ECDH-ES, ECDH-ES+A256KW and
	// RSA-OAEP-256 if there are none.
	Algorithms []Algorithm
	// Encryptions allowed for the content; A256GCM, A128GCM and A128CBC-HS256 if
	// there are none.
	Encryptions []Encryption
	ContentType string // "cty", any if empty
}

// Decrypted is what was in a JWE. That it could be opened says nothing of who
// wrote it: everybody has the public key.
type Decrypted struct {
	Header     Header
	Encryption Encryption
	Plaintext  []byte
}

// jweHeader is the header of a JWE (RFC 7516 §4.1) with the parameters of its
// algorithms (RFC 7518 §4.6 to §4.8).
type jweHeader struct {
	Alg  Algorithm       `json:"alg"`
	Enc  Encryption      `json:"enc"`
	Kid  string          `json:"kid"`
	Typ  string          `json:"typ"`
	Cty  string          `json:"cty"`
	Zip  json.RawMessage `json:"zip"`
	Crit json.RawMessage `json:"crit"`

	Epk json.RawMessage `json:"epk"`
	Apu string          `json:"apu"`
	Apv string          `json:"apv"`
	Iv  string          `json:"iv"`
	Tag string          `json:"tag"`
	P2s string          `json:"p2s"`
	P2c int             `json:"p2c"`
}

// jwe is an encrypted token taken apart.
type jwe struct {
	header               jweHeader
	associated           string // the header as it was written, which the tag covers
	key, iv, sealed, tag []byte
}

func parseJWE(token string) (*jwe, error) {
	m := &jwe{}
	p, err := splitCompact(token, 5, &m.header)
	if err != nil {
		return nil, err
	}
	if m.header.Crit != nil {
		return nil, ErrCritical
	}
	// Compressed content could unfold to any size, and tells of itself by its
	// length.
	if m.header.Zip != nil {
		return nil, ErrAlgorithm
	}
	m.associated = p[0]
	for i, part := range []*[]byte{&m.key, &m.iv, &m.sealed, &m.tag} {
		if *part, err = decode64(p[1+i]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Decrypt opens a JWE.
func Decrypt(token string, o DecryptOptions) (*Decrypted, error) {
	m, err := parseJWE(token)
	if err != nil {
		return nil, err
	}
	h := m.header
	if !allowed(h.Alg, o.Algorithms, usualKeys) || profiles[h.Alg].use() != UseEncryption ||
		!allowed(h.Enc, o.Encryptions, usualEncryptions) || !h.Enc.Known() {
		return nil, ErrAlgorithm
	}
	if o.ContentType != "" && mediaType(h.Cty) != mediaType(o.ContentType) {
		return nil, ErrType
	}
	k, err := o.Keys.Find(h.Kid, h.Alg)
	if err != nil {
		return nil, err
	}
	plaintext, err := m.open(k, contents[h.Enc])
	if err != nil {
		return nil, err
	}
	return &Decrypted{
		Header:     Header{Algorithm: h.Alg, KeyID: h.Kid, Type: h.Typ, ContentType: h.Cty},
		Encryption: h.Enc, Plaintext: plaintext,
	}, nil
}

func (m *jwe) open(k *Key, c content) ([]byte, error) {
	// Shorter tags would be easier to guess; the ciphers here take any.
	if len(m.iv) != c.iv || len(m.tag) != c.tag {
		return nil, ErrDecrypt
	}
	key, err := m.contentKey(k, c.key)
	if err != nil {
		return nil, err
	}
	aead, err := c.cipher(key)
	if err != nil {
		return nil, ErrDecrypt
	}
	plaintext, err := aead.Open(nil, m.iv, append(m.sealed, m.tag...), []byte(m.associated))
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

func (c content) cipher(key []byte) (cipher.AEAD, error) {
	if len(key) != c.key {
		return nil, ErrDecrypt
	}
	if c.cbc {
		return josecipher.NewCBCHMAC(key, aes.NewCipher)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Encrypt seals plaintext for the holder of a key, by the key's algorithm and
// A256GCM. The content type cty may be empty.
func Encrypt(plaintext []byte, to *Key, cty string) (string, error) {
	alg, err := to.EncryptionAlgorithm()
	if err != nil {
		return "", err
	}
	return encrypt(plaintext, to, sealHeader{Alg: alg, Enc: A256GCM, Kid: to.ID, Cty: cty})
}

// sealHeader is the header of a JWE that Souk writes.
type sealHeader struct {
	Alg Algorithm  `json:"alg"`
	Enc Encryption `json:"enc"`
	Kid string     `json:"kid,omitempty"`
	Cty string     `json:"cty,omitempty"`
	Epk *jwk       `json:"epk,omitempty"`
}

func encrypt(plaintext []byte, to *Key, h sealHeader) (string, error) {
	if len(plaintext) > MaxToken/2 {
		return "", ErrTooLarge
	}
	c := contents[h.Enc]
	key, wrapped, err := newContentKey(to, &h, c.key)
	if err != nil {
		return "", err
	}
	header, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	aead, err := c.cipher(key)
	if err != nil {
		return "", err
	}
	iv := make([]byte, c.iv)
	_, _ = rand.Read(iv) // never fails
	associated := encode64(header)
	sealed := aead.Seal(nil, iv, plaintext, []byte(associated))
	cut := len(sealed) - c.tag
	return associated + "." + encode64(wrapped) + "." + encode64(iv) + "." +
		encode64(sealed[:cut]) + "." + encode64(sealed[cut:]), nil
}
