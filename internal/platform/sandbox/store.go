package sandbox

import (
	"context"
	"time"

	"github.com/soukhq/souk/ent/sandbox"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/store"
)

func (s *Service) insert(ctx context.Context, m mode.Mode, name string) error {
	_, err := s.db.SQL(ctx).ExecContext(ctx,
		`INSERT INTO sandboxes (id, name, ahead_us, created_at) VALUES ($1, $2, 0, $3) ON CONFLICT (id) DO NOTHING`,
		int32(m), name, s.clock.Now(mode.Live))
	return err
}

func (s *Service) advance(ctx context.Context, m mode.Mode, by time.Duration) (time.Duration, error) {
	row, err := store.Lock(s.db, s.db.Client(ctx).Sandbox.Query().Where(sandbox.ID(int32(m)))).Only(ctx)
	if err != nil {
		return 0, err
	}
	ahead := time.Duration(row.AheadUs)*time.Microsecond + by
	if ahead > reachMax {
		return 0, ErrStep
	}
	return ahead, s.db.Client(ctx).Sandbox.UpdateOne(row).SetAheadUs(ahead.Microseconds()).Exec(ctx)
}

func (s *Service) moved(ctx context.Context) (map[mode.Mode]time.Duration, error) {
	rows, err := s.db.Client(ctx).Sandbox.Query().Where(sandbox.AheadUsGT(0)).All(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[mode.Mode]time.Duration, len(rows))
	for _, r := range rows {
		out[mode.Mode(r.ID)] = time.Duration(r.AheadUs) * time.Microsecond
	}
	return out, nil
}
