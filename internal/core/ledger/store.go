package ledger

import (
	"context"
	"fmt"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/account"
	"github.com/soukhq/souk/ent/predicate"
	"github.com/soukhq/souk/ent/transfer"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

func (s *Service) find(ctx context.Context, n NewAccount) (AccountID, error) {
	a, err := s.db.Client(ctx).Account.Query().Where(
		account.OwnerID(n.OwnerID), account.Kind(n.Kind), account.Currency(n.Currency), account.Mode(n.Mode),
	).OnlyID(ctx)
	if ent.IsNotFound(err) {
		return 0, ErrAccountUnknown
	}
	return a, err
}

func (s *Service) insert(ctx context.Context, a AccountID, n NewAccount) error {
	return s.db.Client(ctx).Account.Create().
		SetID(a).SetMode(n.Mode).SetCurrency(n.Currency).
		SetOwnerKind(account.OwnerKind(n.Owner)).SetOwnerID(n.OwnerID).SetKind(n.Kind).
		SetFloorMinor(n.Floor).SetCreatedAt(s.clock.Now(n.Mode)).Exec(ctx)
}

func (s *Service) byIDs(ctx context.Context, ids []AccountID) (map[AccountID]Account, error) {
	rows, err := s.db.Client(ctx).Account.Query().Where(account.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	out := make(map[AccountID]Account, len(rows))
	for _, r := range rows {
		out[r.ID] = fromRow(r)
	}
	return out, nil
}

// lockOwned locks in the order of the executor.
func (s *Service) lockOwned(ctx context.Context, owner OwnerKind, ownerID id.ID) ([]Account, error) {
	return fromRows(store.Lock(s.db, s.owned(ctx, owner, ownerID)).All(ctx))
}

func (s *Service) owned(ctx context.Context, owner OwnerKind, ownerIDs ...id.ID) *ent.AccountQuery {
	return s.db.Client(ctx).Account.Query().
		Where(account.OwnerKindEQ(account.OwnerKind(owner)), account.OwnerIDIn(ownerIDs...)).Order(ent.Asc(account.FieldID))
}

func (s *Service) close(ctx context.Context, owner OwnerKind, ownerID id.ID) error {
	return s.db.Client(ctx).Account.Update().
		Where(account.OwnerKindEQ(account.OwnerKind(owner)), account.OwnerID(ownerID)).SetClosed(true).Exec(ctx)
}

func fromRows(rows []*ent.Account, err error) ([]Account, error) {
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	out := make([]Account, len(rows))
	for i, r := range rows {
		out[i] = fromRow(r)
	}
	return out, nil
}

func (s *Service) updateFloor(ctx context.Context, a AccountID, floor int64) error {
	row, err := store.Lock(s.db, s.db.Client(ctx).Account.Query().Where(account.ID(a))).Only(ctx)
	if ent.IsNotFound(err) {
		return ErrAccountUnknown
	}
	if err != nil {
		return err
	}
	if row.BalanceMinor-row.HeldMinor < floor {
		return ErrInsufficientFunds
	}
	return s.db.Client(ctx).Account.UpdateOneID(a).SetFloorMinor(floor).Exec(ctx)
}

func fromRow(r *ent.Account) Account {
	return Account{
		ID: r.ID, Owner: OwnerKind(r.OwnerKind), OwnerID: r.OwnerID, Kind: r.Kind,
		Balance: r.BalanceMinor, Held: r.HeldMinor, Floor: r.FloorMinor, Closed: r.Closed,
	}
}

// lines reads up to one line more than the slice asks for. The two sides are
// read by their own index and merged, which a single OR would not let the
// database do in order.
func (s *Service) lines(ctx context.Context, a AccountID, sl page.Slice) ([]Line, error) {
	debits, err := s.side(ctx, transfer.DebitAccountID(a), sl)
	if err != nil {
		return nil, err
	}
	credits, err := s.side(ctx, transfer.CreditAccountID(a), sl)
	if err != nil {
		return nil, err
	}
	before := func(x, y id.ID) bool { return (CompareIDs(x, y) > 0) != sl.Backward }
	out := make([]Line, 0, sl.Limit+1)
	for len(out) <= sl.Limit && (len(debits) > 0 || len(credits) > 0) {
		from := &credits
		if len(credits) == 0 || len(debits) > 0 && before(debits[0].ID, credits[0].ID) {
			from = &debits
		}
		out = append(out, toLine((*from)[0], a))
		*from = (*from)[1:]
	}
	return out, nil
}

func (s *Service) side(ctx context.Context, of predicate.Transfer, sl page.Slice) ([]*ent.Transfer, error) {
	q := s.db.Client(ctx).Transfer.Query().Where(of).Limit(sl.Limit + 1)
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(transfer.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(transfer.IDGT(p))
	}
	return q.Order(transfer.ByID(store.Newest(sl))).All(ctx)
}

func toLine(r *ent.Transfer, a AccountID) Line {
	l := Line{Transfer: Transfer{
		ID: r.ID, Debit: r.DebitAccountID, Credit: r.CreditAccountID, Amount: r.AmountMinor,
		Kind: r.Kind, SubjectID: r.SubjectID, Reverses: r.ReversesID, At: r.CreatedAt,
	}, Change: r.AmountMinor}
	if r.DebitAccountID == a {
		l.Change = -r.AmountMinor
	}
	return l
}
