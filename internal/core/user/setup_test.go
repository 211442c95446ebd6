package user_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/user"
	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	issuer = "https://id.example"
	ownKey = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}` // RFC 8037 §A.2
)

var server = auth.Viewer{Kind: auth.Service, Mode: 1, Issuer: issuer, Subject: "chat-app"}

// testBundle is a service on an empty database, with neighbours that take notes.
type testBundle struct {
	*user.Service
	t     *testing.T
	db    *store.DB
	clock *clock.Fixed
	revoker
	conversations
	contributor *contributor
}

func setup(t *testing.T, db *store.DB) *testBundle {
	b := &testBundle{t: t, db: db, clock: clock.NewFixed(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))}
	b.contributor = &contributor{}
	b.Service = user.New(db, b.clock)
	b.Connect(user.Neighbours{Revoker: &b.revoker, Conversations: &b.conversations, Contributors: []user.Contributor{b.contributor}})
	return b
}

// onBoth runs a test on each engine.
func onBoth(t *testing.T, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) { test(t, setup(t, db)) })
}

func (b *testBundle) provision(name string) user.User {
	b.t.Helper()
	u, _, err := b.Provision(b.t.Context(), server, user.Profile{ExternalID: name, DisplayName: name})
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// as is the viewer that a user's token makes.
func as(u user.User) auth.Viewer {
	return auth.Viewer{
		Kind: auth.User, UserID: u.ID, Mode: u.Mode, Issuer: u.Issuer, Subject: u.ExternalID,
		TokenID: "jti-of-" + u.ExternalID, ExpiresAt: time.Date(2026, 5, 1, 13, 0, 0, 0, time.UTC),
	}
}

// revoker notes who was revoked.
type revoker struct {
	mu   sync.Mutex
	said []auth.Revocation
}

func (r *revoker) Revoked(_ context.Context, one auth.Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, one)
}

// heard gives what was said since it was last asked.
func (r *revoker) heard() []auth.Revocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := r.said
	r.said = nil
	return said
}

// conversations has all users in one.
type conversations struct {
	members []id.ID
	left    []id.ID
}

func (c *conversations) Leave(_ context.Context, u id.ID) error {
	c.left = append(c.left, u)
	return nil
}

func (c *conversations) Companions(_ context.Context, u id.ID, ids []id.ID) ([]id.ID, error) {
	if !slices.Contains(c.members, u) {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(ids), func(other id.ID) bool { return !slices.Contains(c.members, other) }), nil
}

// contributor holds a coin of each user, which blocks if it says so.
type contributor struct {
	blocks error
	fails  error
	erased []id.ID
}

func (c *contributor) Section() string { return "coins" }

func (c *contributor) Export(_ context.Context, u id.ID) (any, error) {
	return []string{"coin of " + u.String()}, nil
}

func (c *contributor) Blocks(context.Context, id.ID) error { return c.blocks }

func (c *contributor) Erase(_ context.Context, u id.ID) error {
	c.erased = append(c.erased, u)
	return c.fails
}

// refused checks that err is the refusal that is wanted, for the field if one is
// named.
func refused(t *testing.T, err error, want *errs.Error, field ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %s", err, want.Code)
		return
	}
	if got := errs.As(err).Field; len(field) > 0 && !slices.Equal(got, field) {
		t.Errorf("%s is about %v, not %v", want.Code, got, field)
	}
}

// audited gives the acts on a subject that the audit log has, oldest first.
func (b *testBundle) audited(subject id.ID) []string {
	b.t.Helper()
	rows, err := b.db.SQL(b.t.Context()).QueryContext(b.t.Context(),
		`SELECT actor, action, mode FROM audit_entries WHERE subject_id = $1 ORDER BY id`, subject)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var list []string
	for rows.Next() {
		var actor, action string
		var m mode.Mode
		if err := rows.Scan(&actor, &action, &m); err != nil {
			b.t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %s in %s", actor, action, m))
	}
	if err := rows.Err(); err != nil {
		b.t.Fatal(err)
	}
	return list
}
