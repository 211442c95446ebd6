package wallet

import (
	"context"
	"fmt"
	"slices"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/fundingsource"
	"github.com/soukhq/souk/ent/predicate"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

var isActive = fundingsource.StatusEQ(fundingsource.StatusACTIVE)

func (s *Service) sources(ctx context.Context) *ent.FundingSourceQuery {
	return s.DB.Client(ctx).FundingSource.Query()
}

func (s *Service) readSource(ctx context.Context, sourceID id.ID) (Source, error) {
	return one(s.sources(ctx).Where(fundingsource.ID(sourceID), isActive).Only(ctx))
}

// sourceOf finds a user's one source of a kind that there is one of.
func (s *Service) sourceOf(ctx context.Context, userID id.ID, k Kind, c money.Currency) (Source, error) {
	return one(s.sources(ctx).Where(fundingsource.UserID(userID), fundingsource.KindEQ(fundingsource.Kind(k)), fundingsource.Currency(c), isActive).Only(ctx))
}

func one(r *ent.FundingSource, err error) (Source, error) {
	if ent.IsNotFound(err) {
		return Source{}, ErrSource
	}
	if err != nil {
		return Source{}, fmt.Errorf("read funding source: %w", err)
	}
	return sourceFromRow(r), nil
}

// idsMax is how many ids are asked for in one statement.
const idsMax = 1000

func (s *Service) readSources(ctx context.Context, ids []id.ID) (map[id.ID]Source, error) {
	out := make(map[id.ID]Source, len(ids))
	for some := range slices.Chunk(ids, idsMax) {
		rows, err := s.sources(ctx).Where(fundingsource.IDIn(some...), isActive).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read funding sources: %w", err)
		}
		for _, r := range rows {
			out[r.ID] = sourceFromRow(r)
		}
	}
	return out, nil
}

func (s *Service) listSources(ctx context.Context, userID id.ID, sl page.Slice) ([]Source, error) {
	q := s.sources(ctx).Where(fundingsource.UserID(userID), isActive).Limit(sl.Limit + 1)
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(fundingsource.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(fundingsource.IDGT(p))
	}
	rows, err := q.Order(fundingsource.ByID(store.Newest(sl))).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, sourceFromRow), nil
}

// tally counts a user's sources.
type tally struct{ ever, active, same int }

// countSources counts what counts against adding a source.
func (s *Service) countSources(ctx context.Context, src Source) (n tally, err error) {
	same := fundingsource.And(isActive, fundingsource.KindEQ(fundingsource.Kind(src.Kind)), fundingsource.Currency(src.Currency))
	for _, c := range []struct {
		into *int
		of   []predicate.FundingSource
	}{{&n.ever, nil}, {&n.active, []predicate.FundingSource{isActive}}, {&n.same, []predicate.FundingSource{same}}} {
		if *c.into, err = s.sources(ctx).Where(fundingsource.UserID(src.UserID)).Where(c.of...).Count(ctx); err != nil {
			return n, fmt.Errorf("count funding sources: %w", err)
		}
	}
	return n, nil
}

func (s *Service) insertSource(ctx context.Context, src Source, token []byte) error {
	create := s.DB.Client(ctx).FundingSource.Create().
		SetID(src.ID).SetMode(src.Mode).SetUserID(src.UserID).SetKind(fundingsource.Kind(src.Kind)).
		SetLabel(src.Label).SetCurrency(src.Currency).SetCreatedAt(src.CreatedAt)
	if src.Account != 0 {
		create.SetAccountID(src.Account)
	} else {
		create.SetRail(src.Rail).SetRailToken(token)
	}
	return create.Exec(ctx)
}

// markRemoved keeps the row and its token: money may have to go back there.
func (s *Service) markRemoved(ctx context.Context, sourceID id.ID) error {
	return s.DB.Client(ctx).FundingSource.UpdateOneID(sourceID).SetStatus(fundingsource.StatusREMOVED).Exec(ctx)
}

func (s *Service) readToken(ctx context.Context, sourceID id.ID) ([]byte, error) {
	r, err := s.sources(ctx).Where(fundingsource.ID(sourceID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read rail token: %w", err)
	}
	return r.RailToken, nil
}

// sealedToken is what a rail knows a source by.
type sealedToken struct {
	source id.ID
	sealed []byte
}

// lockTokens locks up to limit sources that have a token and whose ids follow one.
func (s *Service) lockTokens(ctx context.Context, after id.ID, limit int) ([]sealedToken, error) {
	rows, err := store.Lock(s.DB, s.sources(ctx).Where(fundingsource.IDGT(after), fundingsource.RailTokenNotNil()).
		Order(fundingsource.ByID()).Limit(limit)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock rail tokens: %w", err)
	}
	tokens := make([]sealedToken, len(rows))
	for i, r := range rows {
		tokens[i] = sealedToken{r.ID, r.RailToken}
	}
	return tokens, nil
}

func (s *Service) saveToken(ctx context.Context, t sealedToken) error {
	return s.DB.Client(ctx).FundingSource.UpdateOneID(t.source).SetRailToken(t.sealed).Exec(ctx)
}

func (s *Service) eraseSources(ctx context.Context, userID id.ID) error {
	update := s.DB.Client(ctx).FundingSource.Update
	if err := update().Where(fundingsource.UserID(userID)).SetLabel("").ClearRailToken().Exec(ctx); err != nil {
		return fmt.Errorf("erase funding sources: %w", err)
	}
	rails := fundingsource.KindIn(fundingsource.KindBANK_ACCOUNT, fundingsource.KindCARD)
	if err := update().Where(fundingsource.UserID(userID), rails).SetStatus(fundingsource.StatusREMOVED).Exec(ctx); err != nil {
		return fmt.Errorf("remove funding sources: %w", err)
	}
	return nil
}

func (s *Service) exportSources(ctx context.Context, userID id.ID) ([]exportedSource, error) {
	rows, err := s.sources(ctx).Where(fundingsource.UserID(userID)).Order(fundingsource.ByID()).Limit(exportMax).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, func(r *ent.FundingSource) exportedSource {
		return exportedSource{
			ID: id.Global("FundingSource", r.ID), Kind: Kind(r.Kind), Label: r.Label, Currency: r.Currency.String(), Rail: r.Rail,
			Removed: r.Status == fundingsource.StatusREMOVED, CreatedAt: r.CreatedAt,
		}
	}), nil
}

func sourceFromRow(r *ent.FundingSource) Source {
	src := Source{
		ID: r.ID, Mode: r.Mode, UserID: r.UserID, Kind: Kind(r.Kind), Label: r.Label, Currency: r.Currency, Rail: r.Rail, CreatedAt: r.CreatedAt,
	}
	if r.AccountID != nil {
		src.Account = *r.AccountID
	}
	return src
}

func mapRows[R, T any](rows []*R, from func(*R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = from(r)
	}
	return out
}
