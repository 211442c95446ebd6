package user

import (
	"context"
	"fmt"

	"github.com/soukhq/souk/internal/base/audit"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/batch"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

// Service provisions, finds and erases users, and keeps their devices.
type Service struct {
	db    *store.DB
	clock clock.Clock
	with  Neighbours

	accounts *batch.Reader[subject, auth.Account]
	revoked  *batch.Reader[id.ID, bool]
}

// New makes the service. Connect must be called before it serves.
func New(db *store.DB, c clock.Clock) *Service {
	s := &Service{db: db, clock: c}
	s.accounts, s.revoked = batch.New(s.readAccounts), batch.New(s.readRevoked)
	return s
}

// Neighbours are the parts that lean on users and that users lean on in turn.
type Neighbours struct {
	Revoker       Revoker
	Conversations Conversations
	Contributors  []Contributor // in the order in which they are asked
}

// Revoker ends tokens, and the subscriptions that were opened with them.
type Revoker interface {
	// Revoked is called after a revocation was committed.
	Revoked(ctx context.Context, r auth.Revocation)
}

// Conversations is what users ask of the places where they talk.
type Conversations interface {
	// Leave ends all memberships of a user.
	Leave(ctx context.Context, userID id.ID) error
	// Companions gives those of the ids who share a conversation with the user.
	Companions(ctx context.Context, userID id.ID, ids []id.ID) ([]id.ID, error)
}

// Connect names the parts that could only be made after the service.
func (s *Service) Connect(n Neighbours) { s.with = n }

// ByIDs reads users for the batches of a loader; one that is not there is left
// out. It asks no permission: the caller has shown an object that names them.
func (s *Service) ByIDs(ctx context.Context, ids []id.ID) (map[id.ID]User, error) {
	return s.byIDs(ctx, ids)
}

// Visible reads those of the users whom the viewer may see: for a server those of
// its realm, for a user themselves, their contacts, and whom they share a
// conversation with.
func (s *Service) Visible(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]User, error) {
	switch v.Kind {
	case auth.Service, auth.Operator:
		return s.byIDsIn(ctx, realmOf(v), ids)
	case auth.User:
		seen, err := s.seenBy(ctx, v.UserID, ids)
		if err != nil {
			return nil, fmt.Errorf("visible users: %w", err)
		}
		return s.byIDs(ctx, seen)
	default:
		return nil, nil
	}
}

func (s *Service) seenBy(ctx context.Context, userID id.ID, ids []id.ID) ([]id.ID, error) {
	contacts, err := s.contactsAmong(ctx, userID, ids)
	if err != nil {
		return nil, err
	}
	companions, err := s.with.Conversations.Companions(ctx, userID, ids)
	if err != nil {
		return nil, err
	}
	seen := append(contacts, companions...)
	for _, u := range ids {
		if u == userID {
			seen = append(seen, u)
		}
	}
	return seen, nil
}

// ByExternalID finds the user whom the chat app knows by this name, in the
// viewer's realm. Only for servers.
//
// Refusals: USER_NOT_FOUND.
func (s *Service) ByExternalID(ctx context.Context, v auth.Viewer, externalID string) (User, error) {
	if err := server(v); err != nil {
		return User{}, err
	}
	return s.find(ctx, realmOf(v), externalID)
}

// Contacts lists whom the viewer counts among their friends, newest first.
// Positions are those of [ContactPosition]. Only for users.
func (s *Service) Contacts(ctx context.Context, v auth.Viewer, sl page.Slice) (page.List[Contact], error) {
	if err := person(v); err != nil {
		return page.List[Contact]{}, err
	}
	rows, err := s.contacts(ctx, v.UserID, sl)
	if err != nil {
		return page.List[Contact]{}, fmt.Errorf("contacts: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// LockUsers tells of those of the ids that are users of a mode and issuer whether
// they are active. That stays so until the transaction of ctx ends.
func (s *Service) LockUsers(ctx context.Context, m mode.Mode, issuer string, ids []id.ID) (map[id.ID]bool, error) {
	users, err := s.lock(ctx, realm{m, issuer}, ids...)
	if err != nil {
		return nil, fmt.Errorf("lock users: %w", err)
	}
	active := make(map[id.ID]bool, len(users))
	for _, u := range users {
		active[u.ID] = u.Status == Active
	}
	return active, nil
}

// realm is where a server acts: users of another are not there for it.
type realm struct {
	Mode   mode.Mode
	Issuer string
}

func realmOf(v auth.Viewer) realm { return realm{v.Mode, v.Issuer} }

// server lets the chat app's server and operators through.
func server(v auth.Viewer) error { return only(v, auth.Service, auth.Operator) }

// person lets users through.
func person(v auth.Viewer) error { return only(v, auth.User) }

func only(v auth.Viewer, kinds ...auth.Kind) error {
	switch {
	case v.Is(kinds...):
		return nil
	case v.Is(auth.Anonymous):
		return errs.ErrUnauthenticated
	default:
		return errs.ErrForbidden
	}
}

// record writes an act of a server to the audit log.
func (s *Service) record(ctx context.Context, v auth.Viewer, action string, subject id.ID, detail any) error {
	return audit.Record(ctx, s.db, audit.Entry{
		By: v, Action: action, SubjectID: subject, Detail: detail, At: s.clock.Now(v.Mode),
	})
}

// revoke ends tokens once the transaction of ctx has committed.
func (s *Service) revoke(ctx context.Context, r auth.Revocation) {
	s.db.After(ctx, func() { s.with.Revoker.Revoked(context.WithoutCancel(ctx), r) })
}

const maxTries = 3

// settle runs fn in a transaction, and again when another one was faster to
// insert the same row: fn then finds what that one wrote.
func (s *Service) settle(ctx context.Context, fn func(context.Context) error) error {
	var err error
	for range maxTries {
		if err = s.db.InTx(ctx, fn); !store.IsUnique(err) {
			return err
		}
	}
	return errs.ErrUnavailable.Because(err)
}
