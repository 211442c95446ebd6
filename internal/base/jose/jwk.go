package jose

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-jose/go-jose/v4/json"
)

const (
	ktyRSA = "RSA"
	ktyEC  = "EC"
	ktyOKP = "OKP"
	ktyOct = "oct"

	crvEd25519 = "Ed25519"
	crvX25519  = "X25519"

	minRSABits = 2048 // RFC 7518 §3.3 and §4.2
	maxRSABits = 8192 // verification costs grow with the square
	maxSecret  = 1024
)

// errUnsupported says that the key is of a kind that this package does not know.
// A set skips such keys (RFC 7517 §5).
var errUnsupported = fmt.Errorf("%w: kind not supported", ErrKey)

// jwk is a key as JSON has it (RFC 7518 §6, RFC 8037 §2).
type jwk struct {
	Kty    string    `json:"kty"`
	Kid    string    `json:"kid,omitempty"`
	Use    string    `json:"use,omitempty"`
	KeyOps []string  `json:"key_ops,omitempty"`
	Alg    Algorithm `json:"alg,omitempty"`
	Crv    string    `json:"crv,omitempty"`
	X      string    `json:"x,omitempty"`
	Y      string    `json:"y,omitempty"`
	N      string    `json:"n,omitempty"`
	E      string    `json:"e,omitempty"`

	D   string            `json:"d,omitempty"`
	P   string            `json:"p,omitempty"`
	Q   string            `json:"q,omitempty"`
	Dp  string            `json:"dp,omitempty"`
	Dq  string            `json:"dq,omitempty"`
	Qi  string            `json:"qi,omitempty"`
	Oth []json.RawMessage `json:"oth,omitempty"`
	K   string            `json:"k,omitempty"`
}

func (w jwk) public() jwk {
	return jwk{Kty: w.Kty, Kid: w.Kid, Use: w.Use, Alg: w.Alg, Crv: w.Crv, X: w.X, Y: w.Y, N: w.N, E: w.E}
}

// own gives the members that belong to the key's type.
func (w jwk) own() jwk {
	o := w.public()
	switch {
	case w.Kty == ktyOct:
		o.K = w.K
	case w.Kty == ktyRSA && w.D != "":
		o.D, o.P, o.Q, o.Dp, o.Dq, o.Qi = w.D, w.P, w.Q, w.Dp, w.Dq, w.Qi
	case w.Kty != ktyRSA:
		o.D = w.D
	}
	return o
}

// secrets joins the private members.
func (w jwk) secrets() string { return w.D + w.P + w.Q + w.Dp + w.Dq + w.Qi + w.K }

// build checks the members and makes the key ready for use.
func (w jwk) build() (*Key, error) {
	use, err := w.purpose()
	if err != nil {
		return nil, err
	}
	k := &Key{ID: w.Kid, Use: use, Alg: w.Alg}
	switch {
	case w.Kty == ktyRSA:
		err = w.buildRSA(k)
	case w.Kty == ktyEC:
		err = w.buildEC(k)
	case w.Kty == ktyOKP && w.Crv == crvEd25519:
		err = w.buildEd25519(k)
	case w.Kty == ktyOKP && w.Crv == crvX25519:
		err = w.buildAgreement(k, ecdh.X25519(), nil)
	case w.Kty == ktyOct:
		err = w.buildSecret(k)
	default:
		err = errUnsupported
	}
	if err != nil {
		return nil, err
	}
	// A private member of another type would slip through as public.
	k.wire = w.own()
	if k.wire.secrets() != w.secrets() || w.Oth != nil {
		return nil, fmt.Errorf("%w: members that do not belong to its type", ErrKey)
	}
	k.thumbprint = k.wire.fingerprint()
	return k, nil
}

// purpose folds "use" and "key_ops" into one, and refuses what contradicts
// (RFC 7517 §4.3). Whether the key signs or verifies follows from its being
// private or public.
func (w jwk) purpose() (string, error) {
	use := w.Use
	if use != "" && use != UseSignature && use != UseEncryption {
		return "", errUnsupported
	}
	for _, op := range w.KeyOps {
		of := UseEncryption
		switch {
		case op == "sign" || op == "verify":
			of = UseSignature
		case !slices.Contains([]string{"encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"}, op):
			return "", errUnsupported
		}
		if use != "" && use != of {
			return "", fmt.Errorf("%w: contradictory use", ErrKey)
		}
		use = of
	}
	return use, nil
}

func (w jwk) buildRSA(k *Key) error {
	n, err := unsigned(w.N, maxRSABits/8)
	if err != nil {
		return err
	}
	e, err := unsigned(w.E, 4)
	if err != nil {
		return err
	}
	if n.BitLen() < minRSABits || n.Bit(0) == 0 || hasROCA(n) {
		return fmt.Errorf("%w: weak modulus", ErrKey)
	}
	if e.BitLen() > 31 || e.Bit(0) == 0 || e.BitLen() < 2 {
		return fmt.Errorf("%w: weak exponent", ErrKey)
	}
	pub := rsa.PublicKey{N: n, E: int(e.Int64())}
	k.public = &pub
	if w.D == "" {
		return nil
	}
	return w.buildRSAPrivate(k, pub)
}

// buildRSAPrivate wants the two primes: without them decryption is slow, and the
// standard library does not vouch for the key.
func (w jwk) buildRSAPrivate(k *Key, pub rsa.PublicKey) error {
	var part [3]*big.Int
	for i, s := range []string{w.D, w.P, w.Q} {
		var err error
		if part[i], err = unsigned(s, maxRSABits/8); err != nil {
			return err
		}
	}
	key := &rsa.PrivateKey{PublicKey: pub, D: part[0], Primes: part[1:]}
	key.Precompute()
	if key.Validate() != nil {
		return fmt.Errorf("%w: inconsistent RSA parts", ErrKey)
	}
	for s, want := range map[string]*big.Int{w.Dp: key.Precomputed.Dp, w.Dq: key.Precomputed.Dq, w.Qi: key.Precomputed.Qinv} {
		if s == "" {
			continue
		}
		if got, err := unsigned(s, maxRSABits/8); err != nil || got.Cmp(want) != 0 {
			return fmt.Errorf("%w: inconsistent RSA parts", ErrKey)
		}
	}
	k.private = key
	return nil
}

// curve pairs the two views that the standard library has of a curve.
type curve struct {
	sign  func() elliptic.Curve
	agree func() ecdh.Curve
}

var curves = map[string]curve{
	"P-256": {elliptic.P256, ecdh.P256},
	"P-384": {elliptic.P384, ecdh.P384},
	"P-521": {elliptic.P521, ecdh.P521},
}

func (w jwk) buildEC(k *Key) error {
	c, ok := curves[w.Crv]
	if !ok {
		return errUnsupported
	}
	size := (c.sign().Params().BitSize + 7) / 8
	x, err := exactly(w.X, size)
	if err != nil {
		return err
	}
	y, err := exactly(w.Y, size)
	if err != nil {
		return err
	}
	point := slices.Concat([]byte{4}, x, y) // uncompressed, SEC 1 §2.3.3
	pub, err := ecdsa.ParseUncompressedPublicKey(c.sign(), point)
	if err != nil {
		return fmt.Errorf("%w: not on the curve", ErrKey)
	}
	k.public = pub
	return w.buildAgreement(k, c.agree(), point)
}

// buildAgreement takes the key as one for ECDH; on the NIST curves the private
// key signs as well. point is nil for X25519, where "x" is the point.
func (w jwk) buildAgreement(k *Key, c ecdh.Curve, point []byte) (err error) {
	size := len(point) / 2
	if point == nil {
		size = 32
		if point, err = exactly(w.X, size); err != nil {
			return err
		}
	}
	if k.agreePublic, err = c.NewPublicKey(point); err != nil {
		return fmt.Errorf("%w: not on the curve", ErrKey)
	}
	if w.D == "" {
		return nil
	}
	d, err := exactly(w.D, size)
	if err != nil {
		return err
	}
	k.agreePrivate, err = c.NewPrivateKey(d)
	if err != nil || !k.agreePrivate.PublicKey().Equal(k.agreePublic) {
		return fmt.Errorf("%w: private and public part differ", ErrKey)
	}
	if pub, ok := k.public.(*ecdsa.PublicKey); ok {
		if k.private, err = ecdsa.ParseRawPrivateKey(pub.Curve, d); err != nil {
			return fmt.Errorf("%w: private part", ErrKey)
		}
	}
	return nil
}

func (w jwk) buildEd25519(k *Key) error {
	x, err := exactly(w.X, ed25519.PublicKeySize)
	if err != nil {
		return err
	}
	k.public = ed25519.PublicKey(x)
	if w.D == "" {
		return nil
	}
	seed, err := exactly(w.D, ed25519.SeedSize)
	if err != nil {
		return err
	}
	key := ed25519.NewKeyFromSeed(seed)
	if subtle.ConstantTimeCompare(key[ed25519.SeedSize:], x) != 1 {
		return fmt.Errorf("%w: private and public part differ", ErrKey)
	}
	k.private = key
	return nil
}

func (w jwk) buildSecret(k *Key) (err error) {
	if k.secret, err = decode64(w.K); err != nil {
		return err
	}
	if len(k.secret) == 0 || len(k.secret) > maxSecret {
		return fmt.Errorf("%w: size of the secret", ErrKey)
	}
	return nil
}

// unsigned reads a Base64urlUInt: big-endian, as short as it can be (RFC 7518
// §2).
func unsigned(s string, limit int) (*big.Int, error) {
	b, err := decode64(s)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || len(b) > limit || b[0] == 0 {
		return nil, fmt.Errorf("%w: size of a number", ErrKey)
	}
	return new(big.Int).SetBytes(b), nil
}

// exactly reads a field whose size the curve fixes (RFC 7518 §6.2.1.2).
func exactly(s string, size int) ([]byte, error) {
	b, err := decode64(s)
	if err != nil {
		return nil, err
	}
	if len(b) != size {
		return nil, fmt.Errorf("%w: size of a coordinate", ErrKey)
	}
	return b, nil
}

func rsaJWK(p *rsa.PublicKey) jwk {
	return jwk{Kty: ktyRSA, N: encode64(p.N.Bytes()), E: encode64(big.NewInt(int64(p.E)).Bytes())}
}

// ecJWK cuts an uncompressed point.
func ecJWK(crv string, point []byte) jwk {
	half := len(point) / 2
	return jwk{Kty: ktyEC, Crv: crv, X: encode64(point[1 : 1+half]), Y: encode64(point[1+half:])}
}

func agreementJWK(p *ecdh.PublicKey) jwk {
	for name, c := range curves {
		if c.agree() == p.Curve() {
			return ecJWK(name, p.Bytes())
		}
	}
	return jwk{Kty: ktyOKP, Crv: crvX25519, X: encode64(p.Bytes())}
}
