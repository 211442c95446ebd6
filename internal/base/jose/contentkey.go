package jose

import (
	"crypto"
	"crypto/aes"
	"crypto/ecdh"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"slices"

	josecipher "github.com/go-jose/go-jose/v4/cipher"
)

// Bounds of PBES2 (RFC 7518 §4.8.1): a token must not choose how long the server
// computes.
const (
	maxIterations = 10_000
	minSalt       = 8
)

// contentKey finds the key of the content, of size bytes (RFC 7516 §5.2). Where
// the algorithm carries none, the token must hold none.
func (m *jwe) contentKey(k *Key, size int) ([]byte, error) {
	p := profiles[m.header.Alg]
	carried := p.family != direct && (p.family != agreement || p.size > 0)
	if carried != (len(m.key) > 0) {
		return nil, ErrMalformed
	}
	switch p.family {
	case direct:
		if k.Alg != "" && k.Alg != m.header.Alg && k.Alg != Algorithm(m.header.Enc) {
			return nil, ErrKey
		}
		return k.secret, nil
	case keyWrap:
		return unwrap(k.secret, p.size, m.key)
	case gcmKeyWrap:
		return m.gcmUnwrap(k.secret, p.size)
	case passwordWrap:
		key, err := m.passwordKey(k.secret, p)
		if err != nil {
			return nil, err
		}
		return unwrap(key, p.size, m.key)
	case oaep:
		return unwrapOAEP(k, p, m.key)
	case agreement:
		return m.agreedKey(k, p, size)
	default:
		return nil, ErrAlgorithm
	}
}

// unwrap undoes AES key wrap (RFC 3394).
func unwrap(key []byte, size int, wrapped []byte) ([]byte, error) {
	if len(key) != size {
		return nil, ErrKey
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, ErrDecrypt
	}
	out, err := josecipher.KeyUnwrap(block, wrapped)
	if err != nil {
		return nil, ErrDecrypt
	}
	return out, nil
}

// gcmUnwrap opens a content key that travels under AES-GCM (RFC 7518 §4.7).
func (m *jwe) gcmUnwrap(key []byte, size int) ([]byte, error) {
	iv, err := decode64(m.header.Iv)
	if err != nil {
		return nil, err
	}
	tag, err := decode64(m.header.Tag)
	if err != nil {
		return nil, err
	}
	c := content{key: size, iv: 12, tag: 16}
	if len(key) != size || len(iv) != c.iv || len(tag) != c.tag {
		return nil, ErrDecrypt
	}
	aead, err := c.cipher(key)
	if err != nil {
		return nil, ErrDecrypt
	}
	out, err := aead.Open(nil, iv, slices.Concat(m.key, tag), nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return out, nil
}

// passwordKey derives the wrapping key of PBES2 (RFC 7518 §4.8).
func (m *jwe) passwordKey(password []byte, p profile) ([]byte, error) {
	salt, err := decode64(m.header.P2s)
	if err != nil {
		return nil, err
	}
	if len(salt) < minSalt || m.header.P2c < 1 {
		return nil, ErrMalformed
	}
	if m.header.P2c > maxIterations {
		return nil, ErrTooLarge
	}
	salt = slices.Concat([]byte(m.header.Alg), []byte{0}, salt)
	return pbkdf2.Key(p.hash.New, string(password), salt, m.header.P2c, p.size)
}

func unwrapOAEP(k *Key, p profile, wrapped []byte) ([]byte, error) {
	key, ok := k.private.(*rsa.PrivateKey)
	if !ok {
		return nil, ErrKey
	}
	if len(wrapped) != key.Size() {
		return nil, ErrDecrypt
	}
	out, err := rsa.DecryptOAEP(p.hash.New(), nil, key, wrapped, nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return out, nil
}

// agreedKey derives the key from the sender's ephemeral key and ours (RFC 7518
// §4.6): the content key itself, or the one that wraps it.
func (m *jwe) agreedKey(k *Key, p profile, size int) ([]byte, error) {
	if k.agreePrivate == nil {
		return nil, ErrKey
	}
	epk, err := ParsePublicKey(m.header.Epk)
	if err != nil {
		return nil, err
	}
	if epk.agreePublic == nil || epk.wire.Crv != k.wire.Crv {
		return nil, ErrKey
	}
	apu, err := decode64(m.header.Apu)
	if err != nil {
		return nil, err
	}
	apv, err := decode64(m.header.Apv)
	if err != nil {
		return nil, err
	}
	key, err := agree(k.agreePrivate, epk.agreePublic, derivation{m.header.Alg, m.header.Enc, apu, apv})
	if err != nil {
		return nil, ErrDecrypt
	}
	if p.size == 0 {
		return key, nil
	}
	return unwrap(key, p.size, m.key)
}

// derivation is what goes into a derived key beside the shared secret.
type derivation struct {
	alg      Algorithm
	enc      Encryption
	apu, apv []byte
}

// agree computes the shared secret and runs the Concat KDF over it (RFC 7518
// §4.6.2, NIST SP 800-56A §5.8.1). A point of small order, whose secret is zero,
// is an error of ECDH.
func agree(private *ecdh.PrivateKey, public *ecdh.PublicKey, d derivation) ([]byte, error) {
	z, err := private.ECDH(public)
	if err != nil {
		return nil, err
	}
	id, size := string(d.alg), profiles[d.alg].size
	if size == 0 {
		id, size = string(d.enc), contents[d.enc].key
	}
	bits := binary.BigEndian.AppendUint32(nil, uint32(size)*8)
	kdf := josecipher.NewConcatKDF(crypto.SHA256, z, counted([]byte(id)), counted(d.apu), counted(d.apv), bits, nil)
	key := make([]byte, size)
	_, err = kdf.Read(key)
	return key, err
}

// counted puts the length before the bytes.
func counted(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// newContentKey makes the key of new content, and the form in which it travels
// to the key's holder, if it does. It may add to the header.
func newContentKey(to *Key, h *sealHeader, size int) (key, wrapped []byte, err error) {
	key = make([]byte, size)
	_, _ = rand.Read(key) // never fails
	p := profiles[h.Alg]
	switch p.family {
	case oaep:
		wrapped, err = rsa.EncryptOAEP(p.hash.New(), rand.Reader, to.public.(*rsa.PublicKey), key, nil)
		return key, wrapped, err
	case agreement:
		own, err := to.agreePublic.Curve().GenerateKey(rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		epk := agreementJWK(own.PublicKey())
		h.Epk = &epk
		agreed, err := agree(own, to.agreePublic, derivation{alg: h.Alg, enc: h.Enc})
		if err != nil || p.size == 0 {
			return agreed, nil, err
		}
		block, err := aes.NewCipher(agreed)
		if err != nil {
			return nil, nil, err
		}
		wrapped, err = josecipher.KeyWrap(block, key)
		return key, wrapped, err
	default:
		return nil, nil, ErrAlgorithm
	}
}
