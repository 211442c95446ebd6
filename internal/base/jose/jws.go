package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
)

// Header is what the header of a token says that callers may want to know.
type Header struct {
	Algorithm   Algorithm
	KeyID       string
	Type        string // "typ"
	ContentType string // "cty"
}

// jwsHeader is the header of a JWS (RFC 7515 §4.1).
type jwsHeader struct {
	Alg  Algorithm       `json:"alg"`
	Kid  string          `json:"kid"`
	Typ  string          `json:"typ"`
	Cty  string          `json:"cty"`
	JWK  json.RawMessage `json:"jwk"`
	Crit json.RawMessage `json:"crit"`
}

// jws is a token taken apart, not verified.
type jws struct {
	header    jwsHeader
	signed    string // header and payload as they were signed
	payload   []byte
	signature []byte
}

func parseJWS(token string) (*jws, error) {
	m := &jws{}
	p, err := splitCompact(token, 3, &m.header)
	if err != nil {
		return nil, err
	}
	if m.header.Crit != nil {
		return nil, ErrCritical
	}
	if m.payload, err = decode64(p[1]); err != nil {
		return nil, err
	}
	if m.signature, err = decode64(p[2]); err != nil {
		return nil, err
	}
	m.signed = token[:strings.LastIndexByte(token, '.')]
	return m, nil
}

func (m *jws) public() Header {
	return Header{Algorithm: m.header.Alg, KeyID: m.header.Kid, Type: m.header.Typ, ContentType: m.header.Cty}
}

// check verifies the signature and the type, and gives the key that made it.
func (m *jws) check(o VerifyOptions) (*Key, error) {
	if !allowed(m.header.Alg, o.Algorithms, usualSigning) || profiles[m.header.Alg].use() != UseSignature {
		return nil, ErrAlgorithm
	}
	if o.Typ != "" && mediaType(m.header.Typ) != mediaType(o.Typ) {
		return nil, ErrType
	}
	k, err := m.key(o)
	if err != nil {
		return nil, err
	}
	return k, k.Verify(m.header.Alg, []byte(m.signed), m.signature)
}

func (m *jws) key(o VerifyOptions) (*Key, error) {
	if !o.EmbeddedKey {
		return o.Keys.Find(m.header.Kid, m.header.Alg)
	}
	if o.Keys != nil || m.header.JWK == nil {
		return nil, ErrUnknownKey
	}
	return ParsePublicKey(m.header.JWK)
}

// allowed tells whether x is in list, or in usual if there is no list.
func allowed[T comparable](x T, list, usual []T) bool {
	if len(list) == 0 {
		list = usual
	}
	return slices.Contains(list, x)
}

// VerifyPayload verifies a JWS whose payload need not be JSON. Of the options
// only the keys, the algorithms and Typ count.
func VerifyPayload(token string, o VerifyOptions) (*Token, error) {
	m, err := parseJWS(token)
	if err != nil {
		return nil, err
	}
	k, err := m.check(o)
	if err != nil {
		return nil, err
	}
	return &Token{Header: m.public(), Payload: m.payload, Key: k}, nil
}

// Sign makes a JWS of payload with the key's algorithm; typ may be empty.
func Sign(payload []byte, key *Key, typ string) (string, error) {
	return sign(payload, key, typ, nil)
}

// SignProof makes a JWS that carries its public key, as a proof that one holds
// the private one (RFC 9449 §4.2).
func SignProof(payload []byte, key *Key, typ string) (string, error) {
	pub := key.wire.public()
	pub.Kid, pub.Use, pub.Alg = "", "", ""
	return sign(payload, key, typ, &pub)
}

func sign(payload []byte, key *Key, typ string, embedded *jwk) (string, error) {
	alg, err := key.SigningAlgorithm()
	if err != nil {
		return "", err
	}
	h := struct {
		Alg Algorithm `json:"alg"`
		Kid string    `json:"kid,omitempty"`
		Typ string    `json:"typ,omitempty"`
		JWK *jwk      `json:"jwk,omitempty"`
	}{alg, key.ID, typ, embedded}
	if embedded != nil {
		h.Kid = ""
	}
	header, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	signed := encode64(header) + "." + encode64(payload)
	if len(signed)+maxRSABits/6+2 > MaxToken { // with the longest signature
		return "", ErrTooLarge
	}
	signature, err := key.Sign(alg, []byte(signed))
	if err != nil {
		return "", err
	}
	return signed + "." + encode64(signature), nil
}

// Verify checks a bare signature in the form of RFC 7518 §3: for ECDSA the two
// numbers side by side, each as wide as the curve. Both of an ECDSA signature's
// two forms are right; never take signatures for identities of what was signed.
func (k *Key) Verify(alg Algorithm, signed, signature []byte) error {
	if !k.suits(alg) {
		return ErrKey
	}
	p := profiles[alg]
	ok := false
	switch p.family {
	case pkcs1v15:
		ok = rsa.VerifyPKCS1v15(k.public.(*rsa.PublicKey), p.hash, digest(p, signed), signature) == nil
	case pss:
		salt := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		ok = rsa.VerifyPSS(k.public.(*rsa.PublicKey), p.hash, digest(p, signed), signature, salt) == nil
	case ecDSA:
		pub, size := k.public.(*ecdsa.PublicKey), k.numberSize()
		if len(signature) == 2*size {
			r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
			ok = ecdsa.Verify(pub, digest(p, signed), r, s)
		}
	case edDSA:
		ok = ed25519.Verify(k.public.(ed25519.PublicKey), signed, signature)
	case hmacSHA2:
		// RFC 7518 §3.2: a key shorter than the hash is not to be used.
		if len(k.secret) < p.hash.Size() {
			return fmt.Errorf("%w: secret too short", ErrKey)
		}
		mac := hmac.New(p.hash.New, k.secret)
		mac.Write(signed)
		ok = hmac.Equal(mac.Sum(nil), signature)
	default:
		return ErrAlgorithm
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

// Sign makes a bare signature, in the form that Verify reads. Souk signs with no
// secrets that are shared: there is no HMAC here.
func (k *Key) Sign(alg Algorithm, message []byte) ([]byte, error) {
	if !k.suits(alg) || k.private == nil {
		return nil, fmt.Errorf("%w: cannot sign", ErrKey)
	}
	p := profiles[alg]
	switch p.family {
	case pkcs1v15:
		return rsa.SignPKCS1v15(rand.Reader, k.private.(*rsa.PrivateKey), p.hash, digest(p, message))
	case pss:
		salt := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.SignPSS(rand.Reader, k.private.(*rsa.PrivateKey), p.hash, digest(p, message), salt)
	case ecDSA:
		r, s, err := ecdsa.Sign(rand.Reader, k.private.(*ecdsa.PrivateKey), digest(p, message))
		if err != nil {
			return nil, err
		}
		size := k.numberSize()
		out := make([]byte, 2*size)
		r.FillBytes(out[:size])
		s.FillBytes(out[size:])
		return out, nil
	case edDSA:
		return ed25519.Sign(k.private.(ed25519.PrivateKey), message), nil
	default:
		return nil, ErrAlgorithm
	}
}

// numberSize gives the width of a number modulo the order of the key's curve.
func (k *Key) numberSize() int {
	return (k.public.(*ecdsa.PublicKey).Curve.Params().N.BitLen() + 7) / 8
}

func digest(p profile, message []byte) []byte {
	h := p.hash.New()
	h.Write(message)
	return h.Sum(nil)
}
