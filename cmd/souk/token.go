package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/app"
)

type tokenCmd struct {
	User     string        `placeholder:"NAME" xor:"who" help:"A user, by the name that the chat app has for them. One who is not there is made."`
	Service  string        `placeholder:"NAME" xor:"who" help:"The chat app's server, which provisions users."`
	Operator string        `placeholder:"NAME" xor:"who" help:"An operator."`
	Lifetime time.Duration `default:"24h" help:"How long it is good for."`
	Claims   string        `placeholder:"JSON" help:"Claims beside or instead of the usual; null takes one away."`
	Header   string        `placeholder:"JSON" help:"The same for the token's header: {\"alg\":\"none\"} makes an unsigned one."`
}

// Help is what souk token --help says below its first line.
func (tokenCmd) Help() string {
	return `
Only the embedded default issues tokens; in production the chat app's issuer does.

  souk token --user alice
  souk token --service chat
  souk token --user alice --claims '{"exp": 1}'         an expired one
  souk token --user alice --claims '{"aud": "others"}'  one for somebody else
`
}

// Run prints a token.
func (c tokenCmd) Run(ctx context.Context, g *Globals) error {
	want := app.TokenRequest{Lifetime: c.Lifetime}
	switch {
	case c.User != "":
		want.Subject = c.User
	case c.Service != "":
		want.Subject, want.Role = c.Service, "service"
	case c.Operator != "":
		want.Subject, want.Role = c.Operator, "operator"
	default:
		return errors.New("say for whom: --user, --service or --operator")
	}
	for _, part := range []struct {
		name, text string
		into       *map[string]any
	}{{"--claims", c.Claims, &want.Claims}, {"--header", c.Header, &want.Header}} {
		if part.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(part.text), part.into); err != nil {
			return fmt.Errorf("%s is not a JSON object: %w", part.name, err)
		}
	}
	return withApp(ctx, g, func(ctx context.Context, a *app.App) error {
		token, err := a.Token(ctx, want)
		if err != nil {
			return err
		}
		fmt.Println(token)
		return nil
	})
}
