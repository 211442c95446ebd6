package merchant

import "github.com/soukhq/souk/internal/base/errs"

// Refusals about merchants and products.
var (
	ErrNotFound        = errs.New(errs.NotFound, "MERCHANT_NOT_FOUND", "There is no such merchant.")
	ErrProductNotFound = errs.New(errs.NotFound, "PRODUCT_NOT_FOUND", "There is no such product of this merchant.")
	ErrURL             = errs.New(errs.Invalid, "URL_INVALID", "This is not a URL that Souk may call: give an https URL of a public host.")
	ErrKeys            = errs.New(errs.Invalid, "KEYS_INVALID", "Give a JWKS of public keys, by URL or by value: one to sign with (EdDSA, ES256 or RS256) and one to encrypt to (use enc; ECDH-ES+A256KW or RSA-OAEP-256).")
	ErrKeysUnreachable = errs.New(errs.Failed, "KEYS_UNREACHABLE", "The keys could not be fetched from their URL.").With(errs.RetrySameKey).In("jwksUrl")
	ErrPrice           = errs.New(errs.Invalid, "PRICE_INVALID", "The price must be above zero, and keeps its currency.").In("price")
	ErrStock           = errs.New(errs.Invalid, "STOCK_INVALID", "The stock must be zero or more, and at most 1000000000000.").In("stockCount")
	ErrText            = errs.New(errs.Invalid, "TEXT_INVALID", "This text is empty, too long, or has characters that may not be there.")
)

// errKeysAway says that nobody can tell whether a signature is right: the
// merchant published a new key, perhaps, and its URL does not answer.
var errKeysAway = errs.New(errs.Unavailable, "UNAVAILABLE", "The merchant's keys cannot be fetched at present; nothing was done. Try again.").With(errs.RetrySameKey)
