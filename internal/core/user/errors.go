package user

import "github.com/soukhq/souk/internal/base/errs"

// Refusals about users and devices.
var (
	ErrNotFound       = errs.New(errs.NotFound, "USER_NOT_FOUND", "There is no such user.")
	ErrGone           = errs.New(errs.Failed, "USER_GONE", "This user was removed.")
	ErrHasFunds       = errs.New(errs.Failed, "USER_HAS_FUNDS", "This user still has money, holds or open orders.")
	ErrDeviceNotFound = errs.New(errs.NotFound, "DEVICE_NOT_FOUND", "There is no such device.")
	ErrDeviceExists   = errs.New(errs.Conflict, "DEVICE_EXISTS", "This key is registered already.")
	ErrDeviceLimit    = errs.New(errs.Failed, "DEVICE_LIMIT", "You have as many devices as one may have. Revoke one first.")
	ErrKey            = errs.New(errs.Invalid, "KEY_INVALID", "Give a public key for signing as a JWK: EC P-256, Ed25519, or RSA of 2048 bits or more.").In("publicKey")
	ErrText           = errs.New(errs.Invalid, "TEXT_INVALID", "This text is empty, too long, or has characters that may not be there.")
	ErrContact        = errs.New(errs.Invalid, "CONTACT_INVALID", "Nobody can be their own contact, and contacts are of one mode.")
)

// errTokenUnnamed is a fault of the issuer's, not a refusal of what was asked.
var errTokenUnnamed = errs.New(errs.Forbidden, "FORBIDDEN", "Your token has no id of its own (claim jti), so that it cannot be revoked alone.")
