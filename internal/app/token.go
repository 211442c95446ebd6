package app

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/core/user"
)

// TokenRequest says what token of the embedded issuer to mint.
type TokenRequest struct {
	Subject  string
	Role     string // "": a user; else "service" or "operator"
	Lifetime time.Duration
	Claims   map[string]any // beside or instead of the usual
	Header   map[string]any
}

// Token mints a token of the embedded issuer. A user who is not there is made.
func (a *App) Token(ctx context.Context, r TokenRequest) (string, error) {
	if !a.Config.Identity.EmbeddedIssuer {
		return "", errors.New("this Souk does not issue tokens: ask the chat app's issuer for one")
	}
	claims := map[string]any{}
	if r.Role != "" {
		claims["souk_role"] = r.Role
	} else if _, _, err := a.Users.Provision(ctx, a.provisionerIn(r.Claims["souk_sandbox"]), user.Profile{ExternalID: r.Subject, DisplayName: r.Subject}); err != nil {
		return "", err
	}
	for k, v := range r.Claims {
		claims[k] = v
	}
	return auth.Mint(ctx, a.Keys, auth.MintInput{
		Issuer: a.PublicURL(), Audience: a.Config.Identity.Audience, Subject: r.Subject,
		Now: time.Now(), Lifetime: r.Lifetime, Claims: claims, Header: r.Header,
	})
}

// provisionerIn is the provisioner in the sandbox that a claim names, if it does.
func (a *App) provisionerIn(sandbox any) auth.Viewer {
	v := a.Provisioner()
	if n, ok := sandbox.(float64); ok && n == math.Trunc(n) && n > 0 && n <= float64(mode.Max) {
		v.Mode = mode.Mode(n)
	}
	return v
}

// Provisioner is the chat app's server as the embedded issuer knows it, for what
// the command line does in its place.
func (a *App) Provisioner() auth.Viewer {
	return auth.Viewer{Kind: auth.Service, Mode: mode.Mode(a.Config.Identity.DefaultSandbox), Issuer: embeddedRealm, Subject: "souk"}
}
