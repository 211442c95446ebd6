package jose

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"

	"github.com/go-jose/go-jose/v4/json"
)

// Key is one key, checked and made ready when it was read, so that using it
// costs no more than the cryptography. It is safe for use by several goroutines
// as long as nobody writes its fields.
//
// Printing and marshalling a Key never shows its private part; MarshalPrivate
// does.
type Key struct {
	ID  string    // "kid"; empty fits every token when the set holds no other key
	Use string    // UseSignature, UseEncryption, or empty for both
	Alg Algorithm // the only algorithm it may be used with, or empty

	wire       jwk // its members in canonical form
	thumbprint string

	public  any // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	private any // the same, private; nil in a public key
	secret  []byte

	agreePublic  *ecdh.PublicKey // of keys that can agree on a secret
	agreePrivate *ecdh.PrivateKey
}

// ParseKey reads a JWK of any kind: public, private or symmetric. For keys of
// others use ParsePublicKey.
func ParseKey(data []byte) (*Key, error) {
	if len(data) > maxKey {
		return nil, ErrTooLarge
	}
	var w jwk
	if err := decodeObject(data, &w); err != nil {
		return nil, err
	}
	return w.build()
}

// ParsePublicKey reads a public JWK and refuses one that holds a private part:
// whoever sends that has lost his key.
func ParsePublicKey(data []byte) (*Key, error) {
	k, err := ParseKey(data)
	if err != nil {
		return nil, err
	}
	if k.IsPrivate() {
		return nil, fmt.Errorf("%w: private, where a public one is wanted", ErrKey)
	}
	return k, nil
}

// NewPublicKey makes a key of a public key of the standard library: RSA, ECDSA,
// Ed25519, or ECDH over X25519.
func NewPublicKey(pub crypto.PublicKey) (*Key, error) {
	var w jwk
	switch p := pub.(type) {
	case *rsa.PublicKey:
		w = rsaJWK(p)
	case *ecdsa.PublicKey:
		b, err := p.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%w: not a point", ErrKey)
		}
		w = ecJWK(p.Curve.Params().Name, b)
	case ed25519.PublicKey:
		w = jwk{Kty: ktyOKP, Crv: crvEd25519, X: encode64(p)}
	case *ecdh.PublicKey:
		w = agreementJWK(p)
	default:
		return nil, errUnsupported
	}
	return w.build()
}

// ParsePublicDER reads a key in the form of PKIX (RFC 5280 §4.1.2.7).
func ParsePublicDER(der []byte) (*Key, error) {
	if len(der) > maxKey {
		return nil, ErrTooLarge
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: not a public key", ErrKey)
	}
	return NewPublicKey(pub)
}

// Generate makes a new private key for alg, named by its thumbprint. Encryption
// keys by agreement are on P-256, which every library knows, unlike X25519.
func Generate(alg Algorithm) (*Key, error) {
	w, err := generate(profiles[alg])
	if err != nil {
		return nil, err
	}
	w.Use, w.Alg = profiles[alg].use(), alg
	k, err := w.build()
	if err != nil {
		return nil, err
	}
	k.ID = k.thumbprint
	return k, nil
}

func generate(p profile) (jwk, error) {
	switch p.family {
	case pkcs1v15, pss, oaep:
		key, err := rsa.GenerateKey(rand.Reader, minRSABits)
		if err != nil {
			return jwk{}, err
		}
		w := rsaJWK(&key.PublicKey)
		w.D, w.P, w.Q = encode64(key.D.Bytes()), encode64(key.Primes[0].Bytes()), encode64(key.Primes[1].Bytes())
		w.Dp, w.Dq = encode64(key.Precomputed.Dp.Bytes()), encode64(key.Precomputed.Dq.Bytes())
		w.Qi = encode64(key.Precomputed.Qinv.Bytes())
		return w, nil
	case edDSA:
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		return jwk{Kty: ktyOKP, Crv: crvEd25519, X: encode64(pub), D: encode64(key.Seed())}, err
	case ecDSA, agreement:
		name := p.crv
		if name == "" {
			name = elliptic.P256().Params().Name
		}
		key, err := curves[name].agree().GenerateKey(rand.Reader)
		if err != nil {
			return jwk{}, err
		}
		w := agreementJWK(key.PublicKey())
		w.D = encode64(key.Bytes())
		return w, nil
	default:
		return jwk{}, fmt.Errorf("%w: no keys are made for it", ErrAlgorithm)
	}
}

// IsPrivate tells whether the key can sign or decrypt.
func (k *Key) IsPrivate() bool {
	return k.private != nil || k.agreePrivate != nil || k.secret != nil
}

// Public gives the public part: the key itself when it is public, nil when it is
// symmetric.
func (k *Key) Public() *Key {
	if !k.IsPrivate() {
		return k
	}
	if k.secret != nil {
		return nil
	}
	pub := *k
	pub.wire, pub.private, pub.agreePrivate = k.wire.public(), nil, nil
	return &pub
}

// CryptoPublic gives the public key of the standard library (*rsa.PublicKey,
// *ecdsa.PublicKey, ed25519.PublicKey or *ecdh.PublicKey), nil when symmetric.
func (k *Key) CryptoPublic() crypto.PublicKey {
	if k.public == nil && k.agreePublic != nil {
		return k.agreePublic
	}
	return k.public
}

// Thumbprint gives the SHA-256 thumbprint of RFC 7638 in base64url, as "jkt" has
// it; empty for a symmetric key.
func (k *Key) Thumbprint() string { return k.thumbprint }

// SigningAlgorithm gives the algorithm that Sign uses with the key.
func (k *Key) SigningAlgorithm() (Algorithm, error) {
	return k.choose(UseSignature, RS256, ES256, "ES384", "ES512", EdDSA)
}

// EncryptionAlgorithm gives the algorithm that Encrypt uses with the key.
func (k *Key) EncryptionAlgorithm() (Algorithm, error) {
	return k.choose(UseEncryption, ECDHESA256KW, RSAOAEP256)
}

// choose takes the algorithm that the key names, or else the first of usual that
// it suits.
func (k *Key) choose(use string, usual ...Algorithm) (Algorithm, error) {
	if k.Alg != "" {
		usual = []Algorithm{k.Alg}
	}
	for _, a := range usual {
		if profiles[a].use() == use && k.suits(a) {
			return a, nil
		}
	}
	return "", fmt.Errorf("%w: not for this use", ErrKey)
}

// suits tells whether the key may be used with alg: of its type and curve, for
// its use, and not for another algorithm (RFC 7517 §4.4).
func (k *Key) suits(alg Algorithm) bool {
	p, known := profiles[alg]
	if !known || k.Use != "" && k.Use != p.use() {
		return false
	}
	// A key that is the content key names the content's algorithm (RFC 7520
	// §5.6.1); contentKey compares it.
	if k.Alg != "" && k.Alg != alg && (p.family != direct || !Encryption(k.Alg).Known()) {
		return false
	}
	if p.family == agreement {
		return k.agreePublic != nil
	}
	return k.wire.Kty == p.kty && (p.crv == "" || p.crv == k.wire.Crv)
}

// MarshalJSON writes the public JWK; for a symmetric key, only its name.
func (k *Key) MarshalJSON() ([]byte, error) { return json.Marshal(k.named(k.wire.public())) }

// MarshalPrivate writes the whole JWK. Whoever reads it has the key.
func (k *Key) MarshalPrivate() ([]byte, error) { return json.Marshal(k.named(k.wire)) }

func (k *Key) named(w jwk) jwk {
	w.Kid, w.Use, w.Alg = k.ID, k.Use, k.Alg
	return w
}

// String names the key without showing it.
func (k *Key) String() string {
	if k == nil {
		return "no key"
	}
	return fmt.Sprintf("%s key %q", k.wire.Kty+k.wire.Crv, k.ID)
}

// Format keeps every verb of fmt from printing the private part.
func (k *Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// fingerprint computes the thumbprint: the required members in the order of
// their names, without space (RFC 7638 §3).
func (w jwk) fingerprint() string {
	var text string
	switch w.Kty {
	case ktyRSA:
		text = `{"e":"` + w.E + `","kty":"RSA","n":"` + w.N + `"}`
	case ktyEC:
		text = `{"crv":"` + w.Crv + `","kty":"EC","x":"` + w.X + `","y":"` + w.Y + `"}`
	case ktyOKP:
		text = `{"crv":"` + w.Crv + `","kty":"OKP","x":"` + w.X + `"}`
	default:
		return "" // the hash of a secret would let it be guessed (RFC 7638 §7)
	}
	sum := sha256.Sum256([]byte(text))
	return encode64(sum[:])
}
