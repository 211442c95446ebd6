package user

import (
	"context"
	"fmt"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
)

// Provision creates a user of the viewer's realm, or changes the one with the
// same external id. Only for servers.
//
// Refusals: TEXT_INVALID, USER_GONE.
func (s *Service) Provision(ctx context.Context, v auth.Viewer, p Profile) (u User, created bool, err error) {
	if err := server(v); err != nil {
		return User{}, false, err
	}
	if p, err = p.clean(); err != nil {
		return User{}, false, err
	}
	err = s.settle(ctx, func(ctx context.Context) error {
		u, created, err = s.upsert(ctx, v, p)
		if err != nil {
			return err
		}
		return s.record(ctx, v, "user.provision", u.ID, map[string]bool{"created": created})
	})
	if err != nil {
		return User{}, false, fmt.Errorf("provision user: %w", err)
	}
	return u, created, nil
}

func (s *Service) upsert(ctx context.Context, v auth.Viewer, p Profile) (User, bool, error) {
	now := s.clock.Now(v.Mode)
	u, err := s.lockNamed(ctx, realmOf(v), p.ExternalID)
	if isNotFound(err) {
		after, err := s.nameRevoked(ctx, realmOf(v), p.ExternalID)
		if err != nil {
			return User{}, false, err
		}
		u = User{
			ID: id.New(), Mode: v.Mode, Issuer: v.Issuer, ExternalID: p.ExternalID, DisplayName: p.DisplayName,
			Status: Active, TokensValidAfter: after, CreatedAt: now, UpdatedAt: now,
		}
		return u, true, s.insert(ctx, u)
	}
	if err != nil {
		return User{}, false, err
	}
	if u.Status.Gone() {
		return User{}, false, ErrGone
	}
	if u.DisplayName == p.DisplayName {
		return u, false, nil
	}
	u.DisplayName, u.UpdatedAt = p.DisplayName, now
	return u, false, s.save(ctx, u)
}

// Block keeps a user from acting, or lets them act again. A blocked user's tokens
// stop working at once and their subscriptions end. Only for servers.
//
// Refusals: USER_NOT_FOUND, USER_GONE.
func (s *Service) Block(ctx context.Context, v auth.Viewer, userID id.ID, blocked bool) (User, error) {
	if !blocked {
		return s.act(ctx, v, "user.unblock", userID, func(_ context.Context, u *User) error {
			u.Status = Active
			return nil
		})
	}
	return s.act(ctx, v, "user.block", userID, func(ctx context.Context, u *User) error {
		u.Status = Blocked
		s.revoke(ctx, auth.Revocation{UserID: u.ID})
		return nil
	})
}

// Remove ends a user's tokens, contacts and memberships. What they did stays, and
// so does their money. A user who was removed before stays so. Only for servers.
//
// Refusals: USER_NOT_FOUND, USER_GONE when the user was erased.
func (s *Service) Remove(ctx context.Context, v auth.Viewer, userID id.ID) (User, error) {
	return s.change(ctx, v, "user.remove", userID, func(ctx context.Context, u *User) error {
		if u.Status == Erased {
			return ErrGone
		}
		u.Status = Removed
		return s.leave(ctx, u.ID)
	})
}

// leave takes a user out of everybody's sight.
func (s *Service) leave(ctx context.Context, userID id.ID) error {
	if err := s.with.Conversations.Leave(ctx, userID); err != nil {
		return err
	}
	if err := s.deleteContacts(ctx, userID); err != nil {
		return err
	}
	s.revoke(ctx, auth.Revocation{UserID: userID})
	return nil
}

// RevokeTokens revokes every token of a user that was issued until now. Only for
// servers.
//
// Refusals: USER_NOT_FOUND, USER_GONE.
func (s *Service) RevokeTokens(ctx context.Context, v auth.Viewer, userID id.ID) (User, error) {
	return s.act(ctx, v, "user.tokensRevoke", userID, func(ctx context.Context, u *User) error {
		// Issuers know nothing of a sandbox's clock.
		u.TokensValidAfter = s.clock.Now(mode.Live)
		s.revoke(ctx, auth.Revocation{UserID: u.ID})
		return nil
	})
}

// act is change for users who are still there.
func (s *Service) act(ctx context.Context, v auth.Viewer, action string, userID id.ID, do func(context.Context, *User) error) (User, error) {
	return s.change(ctx, v, action, userID, func(ctx context.Context, u *User) error {
		if u.Status.Gone() {
			return ErrGone
		}
		return do(ctx, u)
	})
}

// change lets a server change a user of its realm: what do makes of the user is
// saved and written to the audit log.
func (s *Service) change(ctx context.Context, v auth.Viewer, action string, userID id.ID, do func(context.Context, *User) error) (u User, err error) {
	if err := server(v); err != nil {
		return User{}, err
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if u, err = s.lockOne(ctx, realmOf(v), userID); err != nil {
			return err
		}
		before := u
		if err := do(ctx, &u); err != nil {
			return err
		}
		if u != before {
			u.UpdatedAt = s.clock.Now(u.Mode)
			if err := s.save(ctx, u); err != nil {
				return err
			}
		}
		return s.record(ctx, v, action, u.ID, nil)
	})
	if err != nil {
		return User{}, fmt.Errorf("%s: %w", action, err)
	}
	return u, nil
}

// ContactInput says what two users are to each other.
type ContactInput struct {
	UserID    id.ID
	ContactID id.ID
	State     ContactState
}

// SetContact makes two users contacts of each other, has the first block the
// second, or ends whatever they were. Only for servers.
//
// Refusals: CONTACT_INVALID, USER_NOT_FOUND, USER_GONE.
func (s *Service) SetContact(ctx context.Context, v auth.Viewer, in ContactInput) (u, contact User, err error) {
	if err := server(v); err != nil {
		return User{}, User{}, err
	}
	if in.UserID == in.ContactID {
		return User{}, User{}, ErrContact.In("contactId")
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if u, contact, err = s.lockPair(ctx, realmOf(v), in); err != nil {
			return err
		}
		if err := s.setContact(ctx, u, contact, in.State); err != nil {
			return err
		}
		return s.record(ctx, v, "contact.set", u.ID, map[string]any{"contact": contact.ID, "state": in.State})
	})
	if err != nil {
		return User{}, User{}, fmt.Errorf("set contact: %w", err)
	}
	return u, contact, nil
}

// lockPair locks both users, which also keeps two changes of one pair apart.
func (s *Service) lockPair(ctx context.Context, in realm, pair ContactInput) (a, b User, err error) {
	users, err := s.lock(ctx, in, pair.UserID, pair.ContactID)
	if err != nil {
		return User{}, User{}, err
	}
	for _, u := range users {
		switch u.ID {
		case pair.UserID:
			a = u
		case pair.ContactID:
			b = u
		}
	}
	for _, one := range []struct {
		User
		field string
	}{{a, "userId"}, {b, "contactId"}} {
		switch {
		case one.ID == id.Nil:
			return User{}, User{}, ErrNotFound.In(one.field)
		case one.Status.Gone():
			return User{}, User{}, ErrGone.In(one.field)
		}
	}
	return a, b, nil
}

func (s *Service) setContact(ctx context.Context, a, b User, state ContactState) error {
	switch state {
	case ContactMutual:
		if err := s.putContact(ctx, a, b, false); err != nil {
			return err
		}
		return s.putContact(ctx, b, a, false)
	case ContactBlocked:
		return s.putContact(ctx, a, b, true)
	case ContactNone:
		return s.deleteContactsBetween(ctx, a.ID, b.ID)
	default:
		return ErrContact.In("state")
	}
}
