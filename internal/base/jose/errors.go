package jose

import "errors"

// What can be wrong with a token or a key. Test with errors.Is; the text never
// holds a part of the token.
var (
	// ErrMalformed says that the bytes are no token or key of the form.
	ErrMalformed = errors.New("jose: malformed")
	// ErrTooLarge says that a limit of this package was passed.
	ErrTooLarge = errors.New("jose: too large")
	// ErrAlgorithm says that the token asks for an algorithm or a feature that
	// the caller does not allow.
	ErrAlgorithm = errors.New("jose: algorithm not allowed")
	// ErrCritical says that the token needs an extension that is not understood.
	ErrCritical = errors.New("jose: critical header not understood")
	// ErrType says that "typ" or "cty" is not what the caller expects.
	ErrType = errors.New("jose: wrong type of token")
	// ErrKey says that a key is weak, broken, or not of the kind that is needed.
	ErrKey = errors.New("jose: unusable key")
	// ErrUnknownKey says that no key of the set is the one that the token names.
	// The set may be stale.
	ErrUnknownKey = errors.New("jose: unknown key")
	// ErrSignature says that the signature is not the key's.
	ErrSignature = errors.New("jose: wrong signature")
	// ErrDecrypt says that the content cannot be opened. It never says why, lest
	// it become an oracle.
	ErrDecrypt = errors.New("jose: cannot be decrypted")
	// ErrIssuer says that "iss" is another one.
	ErrIssuer = errors.New("jose: wrong issuer")
	// ErrAudience says that the token is meant for somebody else.
	ErrAudience = errors.New("jose: wrong audience")
	// ErrExpired says that "exp" or the allowed age has passed, or that there is
	// no "exp" where one is needed.
	ErrExpired = errors.New("jose: expired")
	// ErrNotYetValid says that "nbf" or "iat" lies in the future.
	ErrNotYetValid = errors.New("jose: not yet valid")
	// ErrLifetime says that "exp" is further away than the caller allows.
	ErrLifetime = errors.New("jose: lifetime too long")
)
