package keys

import (
	"context"
	"errors"
	"time"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/predicate"
	"github.com/soukhq/souk/ent/signingkey"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/store"
)

var errNone = errors.New("keys: there is no such key")

// insert adds a row unless one of its id is there, which waits for a transaction
// that is adding it.
func (k *Keys) insert(ctx context.Context, row key) (mine bool, err error) {
	res, err := k.db.SQL(ctx).ExecContext(ctx,
		`INSERT INTO signing_keys (id, kid, purpose, public, private, created_at, use_from)
		 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING`,
		row.id, row.kid, string(row.purpose), string(row.public), row.private, row.createdAt, row.useFrom)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func (k *Keys) retire(ctx context.Context, key id.ID, at time.Time) error {
	return k.db.Client(ctx).SigningKey.Update().Where(signingkey.ID(key)).SetRetireAt(at).Exec(ctx)
}

func (k *Keys) published(ctx context.Context, now time.Time) ([]key, error) {
	return fromRows(k.db.Client(ctx).SigningKey.Query().Where(
		signingkey.PurposeIn(purposes()...),
		signingkey.Or(signingkey.RetireAtIsNil(), signingkey.RetireAtGT(now)),
	).Order(ent.Asc(signingkey.FieldUseFrom)).All(ctx))
}

func (k *Keys) newest(ctx context.Context, p Purpose) (key, error) {
	return one(k.db.Client(ctx).SigningKey.Query().Where(ofPurpose(p)).Order(ent.Desc(signingkey.FieldUseFrom)).First(ctx))
}

func (k *Keys) first(ctx context.Context, p Purpose) (key, error) {
	return one(k.db.Client(ctx).SigningKey.Get(ctx, successorID(p, id.Nil)))
}

func (k *Keys) lockAll(ctx context.Context) ([]key, error) {
	return fromRows(store.Lock(k.db, k.db.Client(ctx).SigningKey.Query().Order(ent.Asc(signingkey.FieldID))).All(ctx))
}

func (k *Keys) updatePrivate(ctx context.Context, key id.ID, sealed []byte) error {
	return k.db.Client(ctx).SigningKey.Update().Where(signingkey.ID(key)).SetPrivate(sealed).Exec(ctx)
}

func (k *Keys) deleteRetired(ctx context.Context, before time.Time) (int, error) {
	return k.db.Client(ctx).SigningKey.Delete().Where(signingkey.RetireAtLT(before)).Exec(ctx)
}

func ofPurpose(p Purpose) predicate.SigningKey { return signingkey.PurposeEQ(signingkey.Purpose(p)) }

func purposes() []signingkey.Purpose {
	var out []signingkey.Purpose
	for _, p := range Purposes() {
		out = append(out, signingkey.Purpose(p))
	}
	return out
}

func one(r *ent.SigningKey, err error) (key, error) {
	if ent.IsNotFound(err) {
		return key{}, errNone
	}
	if err != nil {
		return key{}, err
	}
	return fromRow(r), nil
}

func fromRows(rows []*ent.SigningKey, err error) ([]key, error) {
	out := make([]key, len(rows))
	for i, r := range rows {
		out[i] = fromRow(r)
	}
	return out, err
}

func fromRow(r *ent.SigningKey) key {
	return key{
		id: r.ID, kid: r.Kid, purpose: Purpose(r.Purpose), public: r.Public, private: r.Private,
		createdAt: r.CreatedAt, useFrom: r.UseFrom, retireAt: r.RetireAt,
	}
}
