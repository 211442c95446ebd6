package user

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/contact"
	"github.com/soukhq/souk/ent/predicate"
	"github.com/soukhq/souk/ent/user"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

// idsMax is how many ids are asked for in one statement.
const idsMax = 1000

func (r realm) rows() predicate.User { return user.And(user.Mode(r.Mode), user.Issuer(r.Issuer)) }

func (s *Service) users(ctx context.Context) *ent.UserQuery { return s.db.Client(ctx).User.Query() }

func (s *Service) byIDs(ctx context.Context, ids []id.ID, which ...predicate.User) (map[id.ID]User, error) {
	out := make(map[id.ID]User, len(ids))
	for some := range slices.Chunk(ids, idsMax) {
		rows, err := s.users(ctx).Where(user.IDIn(some...)).Where(which...).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read users: %w", err)
		}
		for _, r := range rows {
			out[r.ID] = fromRow(r)
		}
	}
	return out, nil
}

func (s *Service) byIDsIn(ctx context.Context, r realm, ids []id.ID) (map[id.ID]User, error) {
	return s.byIDs(ctx, ids, r.rows())
}

func (s *Service) one(ctx context.Context, userID id.ID) (User, error) {
	return single(s.users(ctx).Where(user.ID(userID)).Only(ctx))
}

func (s *Service) find(ctx context.Context, r realm, externalID string) (User, error) {
	return single(s.users(ctx).Where(r.rows(), user.ExternalID(externalID)).Only(ctx))
}

func (s *Service) lockNamed(ctx context.Context, r realm, externalID string) (User, error) {
	return single(store.Lock(s.db, s.users(ctx).Where(r.rows(), user.ExternalID(externalID))).Only(ctx))
}

func (s *Service) lockOne(ctx context.Context, r realm, userID id.ID) (User, error) {
	return single(store.Lock(s.db, s.users(ctx).Where(r.rows(), user.ID(userID))).Only(ctx))
}

func (s *Service) lockUser(ctx context.Context, userID id.ID) (User, error) {
	return single(store.Lock(s.db, s.users(ctx).Where(user.ID(userID))).Only(ctx))
}

// lock locks users in the order of their ids, and gives those that are there.
func (s *Service) lock(ctx context.Context, r realm, ids ...id.ID) ([]User, error) {
	rows, err := store.Lock(s.db, s.users(ctx).Where(r.rows(), user.IDIn(ids...)).Order(ent.Asc(user.FieldID))).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, fromRow), nil
}

func (s *Service) insert(ctx context.Context, u User) error {
	return s.db.Client(ctx).User.Create().
		SetID(u.ID).SetMode(u.Mode).SetIssuer(u.Issuer).SetExternalID(u.ExternalID).
		SetDisplayName(u.DisplayName).SetStatus(user.Status(u.Status)).
		SetNillableTokensValidAfter(timeOrNil(u.TokensValidAfter)).
		SetCreatedAt(u.CreatedAt).SetUpdatedAt(u.UpdatedAt).Exec(ctx)
}

// save writes what may change of a user.
func (s *Service) save(ctx context.Context, u User) error {
	return s.db.Client(ctx).User.Update().Where(user.ID(u.ID)).
		SetExternalID(u.ExternalID).SetDisplayName(u.DisplayName).SetStatus(user.Status(u.Status)).
		SetNillableTokensValidAfter(timeOrNil(u.TokensValidAfter)).SetUpdatedAt(u.UpdatedAt).Exec(ctx)
}

func fromRow(r *ent.User) User {
	u := User{
		ID: r.ID, Mode: r.Mode, Issuer: r.Issuer, ExternalID: r.ExternalID, DisplayName: r.DisplayName,
		Status: Status(r.Status), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.TokensValidAfter != nil {
		u.TokensValidAfter = *r.TokensValidAfter
	}
	return u
}

func (s *Service) contacts(ctx context.Context, userID id.ID, sl page.Slice) ([]Contact, error) {
	q := s.db.Client(ctx).Contact.Query().Where(contact.UserID(userID), contact.Blocked(false)).Limit(sl.Limit + 1)
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(contact.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(contact.IDGT(p))
	}
	rows, err := q.Order(contact.ByID(store.Newest(sl))).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, contactFromRow), nil
}

// allContacts reads as many as the chat app's server has set.
func (s *Service) allContacts(ctx context.Context, userID id.ID) ([]Contact, error) {
	rows, err := s.db.Client(ctx).Contact.Query().Where(contact.UserID(userID)).Order(ent.Asc(contact.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read contacts: %w", err)
	}
	return mapRows(rows, contactFromRow), nil
}

// contactsAmong gives those of the ids whom the user counts among their friends.
func (s *Service) contactsAmong(ctx context.Context, userID id.ID, ids []id.ID) ([]id.ID, error) {
	rows, err := s.db.Client(ctx).Contact.Query().
		Where(contact.UserID(userID), contact.ContactIDIn(ids...), contact.Blocked(false)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read contacts: %w", err)
	}
	return mapRows(rows, func(r *ent.Contact) id.ID { return r.ContactID }), nil
}

// putContact writes how a sees b. Both users are locked.
func (s *Service) putContact(ctx context.Context, a, b User, blocked bool) error {
	n, err := s.db.Client(ctx).Contact.Update().
		Where(contact.UserID(a.ID), contact.ContactID(b.ID)).SetBlocked(blocked).Save(ctx)
	if err != nil || n > 0 {
		return err
	}
	return s.db.Client(ctx).Contact.Create().
		SetMode(a.Mode).SetUserID(a.ID).SetContactID(b.ID).SetBlocked(blocked).
		SetCreatedAt(s.clock.Now(a.Mode)).Exec(ctx)
}

func (s *Service) deleteContactsBetween(ctx context.Context, a, b id.ID) error {
	_, err := s.db.Client(ctx).Contact.Delete().Where(contact.Or(
		contact.And(contact.UserID(a), contact.ContactID(b)),
		contact.And(contact.UserID(b), contact.ContactID(a)),
	)).Exec(ctx)
	return err
}

func (s *Service) deleteContacts(ctx context.Context, userID id.ID) error {
	_, err := s.db.Client(ctx).Contact.Delete().Where(contact.Or(contact.UserID(userID), contact.ContactID(userID))).Exec(ctx)
	return err
}

func contactFromRow(r *ent.Contact) Contact {
	return Contact{ID: r.ID, UserID: r.UserID, ContactID: r.ContactID, Blocked: r.Blocked, CreatedAt: r.CreatedAt}
}

// single turns the answer of a query for one user into domain terms.
func single(r *ent.User, err error) (User, error) {
	if ent.IsNotFound(err) {
		return User{}, ErrNotFound
	}
	if err != nil {
		return User{}, fmt.Errorf("read user: %w", err)
	}
	return fromRow(r), nil
}

func mapRows[R, T any](rows []R, from func(R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = from(r)
	}
	return out
}

func isNotFound(err error) bool { return errs.KindOf(err) == errs.NotFound }

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
