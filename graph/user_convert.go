package graph

import (
	"context"

	"github.com/soukhq/souk/graph/connection"
	"github.com/soukhq/souk/graph/model"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/user"
)

func identityErrors(err error) ([]model.IdentityUserError, error) {
	return userErrors(err, func(r refusal[model.IdentityErrorCode]) model.IdentityUserError { return model.IdentityUserError(r) })
}

// unless is v, or nothing when it was refused.
func unless[T any](err error, v *T) *T {
	if err != nil {
		return nil
	}
	return v
}

func contactUser(c user.Contact) id.ID { return c.ContactID }

// usersOf makes a connection of users of a page whose items name them.
func usersOf[T any](ctx context.Context, r *Resolver, list string, p page.List[T], position func(T) []byte, who func(T) id.ID) (*connection.UserConnection, error) {
	ids := make([]id.ID, len(p.Items))
	for i, item := range p.Items {
		ids[i] = who(item)
	}
	users, err := r.Users.ByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	return connection.Map(r.Cursors, list, p, position, func(item T) user.User { return users[who(item)] }), nil
}

// ownOrServer tells whether the viewer sees all of a user.
func ownOrServer(ctx context.Context, u *user.User) bool {
	v := auth.FromContext(ctx)
	return v.Is(auth.Service, auth.Operator) || v.UserID == u.ID
}
