package chat

import "github.com/soukhq/souk/internal/base/errs"

// Refusals about conversations and messages.
var (
	ErrNotFound          = errs.New(errs.NotFound, "CONVERSATION_NOT_FOUND", "There is no such conversation, or you are not in it.")
	ErrMemberNotFound    = errs.New(errs.NotFound, "MEMBER_NOT_FOUND", "One of the members is no active user.")
	ErrMemberLimit       = errs.New(errs.Invalid, "MEMBER_LIMIT", "A conversation has 1 to 500 members.")
	ErrText              = errs.New(errs.Invalid, "TEXT_INVALID", "This text is empty, too long, or has characters that may not be there.")
	ErrKeyInvalid        = errs.New(errs.Invalid, "IDEMPOTENCY_KEY_INVALID", "Give an idempotency key of 1 to 255 characters.").In("idempotencyKey")
	ErrIdempotency       = errs.New(errs.Conflict, "IDEMPOTENCY_MISMATCH", "This idempotency key was used with another input. Use a new key.").With(errs.RetryNewKey).In("idempotencyKey")
	ErrCardInvalid       = errs.New(errs.Invalid, "CARD_INVALID", "This card cannot be read, or is not signed by an active merchant.").In("card")
	ErrCardExpired       = errs.New(errs.Failed, "CARD_EXPIRED", "The time of this card is over.").In("card")
	ErrCardStale         = errs.New(errs.Failed, "CARD_STALE", "What this card offers is no longer offered.").In("card")
	ErrMerchantSuspended = errs.New(errs.Failed, "MERCHANT_SUSPENDED", "This merchant may not sell at present.").In("card")
)

// ErrCursorExpired ends a subscription, and is no user error: what follows the
// cursor is no longer there.
var ErrCursorExpired = errs.New(errs.Invalid, "CURSOR_EXPIRED", "This cursor is too old to go on from. Read the lists again and follow without it.")
