package jose

import (
	"crypto"
	_ "crypto/sha1" // #nosec G505 -- RSA-OAEP, whose strength does not rest on the hash
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// Algorithm is a value of "alg": how a token is signed, or how its content key
// travels.
type Algorithm string

// The algorithms that Souk itself signs and encrypts with, and accepts when the
// caller names none.
const (
	RS256        Algorithm = "RS256"
	ES256        Algorithm = "ES256"
	EdDSA        Algorithm = "EdDSA"
	ECDHES       Algorithm = "ECDH-ES"
	ECDHESA256KW Algorithm = "ECDH-ES+A256KW"
	RSAOAEP256   Algorithm = "RSA-OAEP-256"
)

// Encryption is a value of "enc": how the content is encrypted.
type Encryption string

// The content encryptions that are accepted when the caller names none. Souk
// writes A256GCM.
const (
	A256GCM      Encryption = "A256GCM"
	A128GCM      Encryption = "A128GCM"
	A128CBCHS256 Encryption = "A128CBC-HS256"
)

// What a key may be for (RFC 7517 §4.2).
const (
	UseSignature  = "sig"
	UseEncryption = "enc"
)

// family groups algorithms that run the same code.
type family uint8

const (
	pkcs1v15 family = iota + 1
	pss
	ecDSA
	edDSA
	hmacSHA2
	direct
	keyWrap
	gcmKeyWrap
	passwordWrap
	oaep
	agreement // alone, or with AES key wrap when size is set
)

// profile is what an algorithm needs (RFC 7518 §3 and §4, RFC 8037, RFC 9864).
type profile struct {
	family family
	kty    string
	crv    string      // where the algorithm fixes the curve
	hash   crypto.Hash // of signatures, OAEP and PBES2
	size   int         // bytes of the wrapping key
}

func (p profile) use() string {
	if p.family <= hmacSHA2 {
		return UseSignature
	}
	return UseEncryption
}

// profiles is every algorithm that can be allowed. "none" and RSA1_5 cannot be.
var profiles = map[Algorithm]profile{
	RS256:     {family: pkcs1v15, kty: ktyRSA, hash: crypto.SHA256},
	"RS384":   {family: pkcs1v15, kty: ktyRSA, hash: crypto.SHA384},
	"RS512":   {family: pkcs1v15, kty: ktyRSA, hash: crypto.SHA512},
	"PS256":   {family: pss, kty: ktyRSA, hash: crypto.SHA256},
	"PS384":   {family: pss, kty: ktyRSA, hash: crypto.SHA384},
	"PS512":   {family: pss, kty: ktyRSA, hash: crypto.SHA512},
	ES256:     {family: ecDSA, kty: ktyEC, crv: "P-256", hash: crypto.SHA256},
	"ES384":   {family: ecDSA, kty: ktyEC, crv: "P-384", hash: crypto.SHA384},
	"ES512":   {family: ecDSA, kty: ktyEC, crv: "P-521", hash: crypto.SHA512},
	EdDSA:     {family: edDSA, kty: ktyOKP, crv: crvEd25519},
	"Ed25519": {family: edDSA, kty: ktyOKP, crv: crvEd25519},
	"HS256":   {family: hmacSHA2, kty: ktyOct, hash: crypto.SHA256},
	"HS384":   {family: hmacSHA2, kty: ktyOct, hash: crypto.SHA384},
	"HS512":   {family: hmacSHA2, kty: ktyOct, hash: crypto.SHA512},

	"dir":                {family: direct, kty: ktyOct},
	"A128KW":             {family: keyWrap, kty: ktyOct, size: 16},
	"A192KW":             {family: keyWrap, kty: ktyOct, size: 24},
	"A256KW":             {family: keyWrap, kty: ktyOct, size: 32},
	"A128GCMKW":          {family: gcmKeyWrap, kty: ktyOct, size: 16},
	"A192GCMKW":          {family: gcmKeyWrap, kty: ktyOct, size: 24},
	"A256GCMKW":          {family: gcmKeyWrap, kty: ktyOct, size: 32},
	"PBES2-HS256+A128KW": {family: passwordWrap, kty: ktyOct, hash: crypto.SHA256, size: 16},
	"PBES2-HS384+A192KW": {family: passwordWrap, kty: ktyOct, hash: crypto.SHA384, size: 24},
	"PBES2-HS512+A256KW": {family: passwordWrap, kty: ktyOct, hash: crypto.SHA512, size: 32},
	"RSA-OAEP":           {family: oaep, kty: ktyRSA, hash: crypto.SHA1},
	RSAOAEP256:           {family: oaep, kty: ktyRSA, hash: crypto.SHA256},
	"RSA-OAEP-384":       {family: oaep, kty: ktyRSA, hash: crypto.SHA384},
	"RSA-OAEP-512":       {family: oaep, kty: ktyRSA, hash: crypto.SHA512},
	ECDHES:               {family: agreement},
	"ECDH-ES+A128KW":     {family: agreement, size: 16},
	"ECDH-ES+A192KW":     {family: agreement, size: 24},
	ECDHESA256KW:         {family: agreement, size: 32},
}

// Known tells whether this package can do a at all.
func (a Algorithm) Known() bool { _, ok := profiles[a]; return ok }

// content is what a content encryption needs, in bytes (RFC 7518 §5).
type content struct {
	key, iv, tag int
	cbc          bool
}

var contents = map[Encryption]content{
	A128GCM:         {key: 16, iv: 12, tag: 16},
	"A192GCM":       {key: 24, iv: 12, tag: 16},
	A256GCM:         {key: 32, iv: 12, tag: 16},
	A128CBCHS256:    {key: 32, iv: 16, tag: 16, cbc: true},
	"A192CBC-HS384": {key: 48, iv: 16, tag: 24, cbc: true},
	"A256CBC-HS512": {key: 64, iv: 16, tag: 32, cbc: true},
}

// Known tells whether this package can do e at all.
func (e Encryption) Known() bool { _, ok := contents[e]; return ok }

// What is allowed when the caller does not say.
var (
	usualSigning     = []Algorithm{RS256, ES256, EdDSA}
	usualKeys        = []Algorithm{ECDHES, ECDHESA256KW, RSAOAEP256}
	usualEncryptions = []Encryption{A256GCM, A128GCM, A128CBCHS256}
)
