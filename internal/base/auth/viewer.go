package auth

import (
	"context"
	"slices"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
)

// Kind is what sort of caller a viewer is.
type Kind uint8

// The kinds. Anonymous is the zero value: nobody has shown a token.
const (
	Anonymous Kind = iota
	User           // a person in the chat app
	Merchant       // a merchant's server
	Service        // the chat app's server, which provisions
	Operator       // who runs Souk
)

// String names the kind as it appears in logs.
func (k Kind) String() string {
	names := [...]string{"anonymous", "user", "merchant", "service", "operator"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Viewer is who asks. The zero value is anonymous.
type Viewer struct {
	Kind       Kind
	UserID     id.ID // of a User
	MerchantID id.ID // of a Merchant
	Mode       mode.Mode
	DeviceID   id.ID  // the user's device that the token was made for, if it says so
	TokenID    string // "jti", may be empty
	Issuer     string // realm of its users and servers
	Subject    string
	IssuedAt   time.Time // may be zero
	ExpiresAt  time.Time
}

// Is tells whether the viewer is of one of the kinds.
func (v Viewer) Is(kinds ...Kind) bool { return slices.Contains(kinds, v.Kind) }

type contextKey struct{}

// NewContext puts the viewer into a context.
func NewContext(ctx context.Context, v Viewer) context.Context {
	return context.WithValue(ctx, contextKey{}, v)
}

// FromContext gives the viewer; the anonymous one when none was put in.
func FromContext(ctx context.Context) Viewer {
	v, _ := ctx.Value(contextKey{}).(Viewer)
	return v
}

// Require gives the viewer if it is of one of the kinds; of any but Anonymous if
// none is named. Otherwise UNAUTHENTICATED for nobody, FORBIDDEN for another.
func Require(ctx context.Context, kinds ...Kind) (Viewer, error) {
	v := FromContext(ctx)
	switch {
	case v.Kind == Anonymous:
		return Viewer{}, errs.ErrUnauthenticated
	case len(kinds) > 0 && !v.Is(kinds...):
		return Viewer{}, errs.ErrForbidden
	}
	return v, nil
}
