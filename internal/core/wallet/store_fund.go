package wallet

import (
	"context"
	"fmt"
	"slices"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/fundingtransfer"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

func (s *Service) transfers(ctx context.Context) *ent.FundingTransferQuery {
	return s.DB.Client(ctx).FundingTransfer.Query()
}

func (s *Service) readTransfer(ctx context.Context, transferID id.ID) (Transfer, error) {
	r, err := s.transfers(ctx).Where(fundingtransfer.ID(transferID)).Only(ctx)
	if ent.IsNotFound(err) {
		return Transfer{}, ErrTopUp
	}
	if err != nil {
		return Transfer{}, fmt.Errorf("read funding transfer: %w", err)
	}
	return transferFromRow(r), nil
}

func (s *Service) readTransfers(ctx context.Context, ids []id.ID) (map[id.ID]Transfer, error) {
	out := make(map[id.ID]Transfer, len(ids))
	for some := range slices.Chunk(ids, idsMax) {
		rows, err := s.transfers(ctx).Where(fundingtransfer.IDIn(some...)).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read funding transfers: %w", err)
		}
		for _, r := range rows {
			out[r.ID] = transferFromRow(r)
		}
	}
	return out, nil
}

func (s *Service) listTransfers(ctx context.Context, userID id.ID, sl page.Slice) ([]Transfer, error) {
	q := s.transfers(ctx).Where(fundingtransfer.UserID(userID)).Limit(sl.Limit + 1)
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(fundingtransfer.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(fundingtransfer.IDGT(p))
	}
	rows, err := q.Order(fundingtransfer.ByID(store.Newest(sl))).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, transferFromRow), nil
}

// hasOpenTransfer tells whether a rail may still say something about the user's
// money: what it has not answered, or may yet take back.
func (s *Service) hasOpenTransfer(ctx context.Context, userID id.ID) (bool, error) {
	open, err := s.transfers(ctx).Where(fundingtransfer.UserID(userID),
		fundingtransfer.Or(fundingtransfer.StateEQ(fundingtransfer.StatePENDING), fundingtransfer.CheckAtNotNil())).Exist(ctx)
	if err != nil {
		return false, fmt.Errorf("read funding transfers: %w", err)
	}
	return open, nil
}

// claimDue takes transfers whose time has come, and keeps them from others for a
// while: each by the clock of its own mode.
func (s *Service) claimDue(ctx context.Context, d moment, limit int) ([]Transfer, error) {
	q := s.transfers(ctx).Where(fundingtransfer.CheckAtLTE(d.now))
	if d.in != nil {
		q = q.Where(fundingtransfer.Mode(*d.in))
	}
	rows, err := store.Claim(s.DB, q.Order(fundingtransfer.ByCheckAt()).Limit(limit)).All(ctx)
	if err != nil {
		return nil, err
	}
	claimed, modes := mapRows(rows, transferFromRow), map[mode.Mode][]id.ID{}
	for _, t := range claimed {
		modes[t.Mode] = append(modes[t.Mode], t.ID)
	}
	for m, ids := range modes {
		until := s.Clock.Now(m).Add(s.lease())
		if err := s.DB.Client(ctx).FundingTransfer.Update().Where(fundingtransfer.IDIn(ids...)).SetCheckAt(until).Exec(ctx); err != nil {
			return nil, err
		}
	}
	return claimed, nil
}

func (s *Service) exportTransfers(ctx context.Context, userID id.ID) ([]exportedTransfer, error) {
	rows, err := s.transfers(ctx).Where(fundingtransfer.UserID(userID)).Order(fundingtransfer.ByID()).Limit(exportMax).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, func(r *ent.FundingTransfer) exportedTransfer {
		return exportedTransfer{
			ID: id.Global("FundingTransfer", r.ID), Direction: Direction(r.Direction), SourceID: id.Global("FundingSource", r.SourceID),
			AmountMinor: r.AmountMinor, ReturnedMinor: r.ReturnedMinor, Currency: r.Currency.String(), State: State(r.State),
			Reference: r.RailReference, FailureCode: r.FailureCode, CreatedAt: r.CreatedAt,
		}
	}), nil
}

func transferFromRow(r *ent.FundingTransfer) Transfer {
	return Transfer{
		ID: r.ID, Mode: r.Mode, UserID: r.UserID, SourceID: r.SourceID, Direction: Direction(r.Direction), Account: r.AccountID,
		Amount: money.Amount{Minor: r.AmountMinor, Currency: r.Currency}, State: State(r.State), Rail: r.Rail,
		Reference: r.RailReference, FailureCode: r.FailureCode, HoldID: r.HoldID, TopUpID: r.TopUpID, TransferID: r.TransferID, ReturnedMinor: r.ReturnedMinor,
		CheckAt: r.CheckAt, CheckCount: r.CheckCount, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}
