package chat

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
)

// Announce tells a user of a change of an order, each version once. It is for
// Souk's own parts and asks no permission.
func (s *Service) Announce(ctx context.Context, userID, orderID id.ID, version int32) error {
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		if err := s.lockFeed(ctx, userID); err != nil {
			return err
		}
		there, err := s.hasEntry(ctx, userID, orderID, version)
		if err != nil || there {
			return err
		}
		return s.enter(ctx, []id.ID{userID}, Entry{Kind: EntryOrder, SubjectID: orderID, Version: version})
	})
	if err != nil {
		return fmt.Errorf("announce order: %w", err)
	}
	return nil
}

// enter adds an entry to the feeds of some users and wakes who follows them.
func (s *Service) enter(ctx context.Context, users []id.ID, e Entry) error {
	// Everybody locks feeds in one order: two writers would wait for each other
	// otherwise.
	users = slices.SortedFunc(slices.Values(users), inOrder)
	// The live clock: entries are pruned by age, whatever a sandbox's clock says.
	e.CreatedAt = s.clock.Now(mode.Live)
	if err := s.insertEntries(ctx, users, e); err != nil {
		return fmt.Errorf("enter into feeds: %w", err)
	}
	topics := make([]string, len(users))
	for i, u := range users {
		topics[i] = userTopic(u)
	}
	s.wake(ctx, topics...)
	return nil
}

// FeedAfter reads up to limit entries of the viewer's feed that came after the
// one with the number seq, oldest first. Only for users.
//
// Refusals: CURSOR_EXPIRED when entries after seq are gone.
func (s *Service) FeedAfter(ctx context.Context, v auth.Viewer, seq int64, limit int) ([]Entry, error) {
	if err := only(v, auth.User); err != nil {
		return nil, err
	}
	list, err := s.entries(ctx, v.UserID, seq, limit)
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	if len(list) > 0 && list[0].Seq == seq+1 {
		return list, nil // numbers have no gaps: nothing was missed
	}
	// The head is read after the entries: it can only be further on than they are.
	h, err := s.head(ctx, v.UserID)
	switch {
	case err != nil:
		return nil, fmt.Errorf("feed: %w", err)
	case h.expired(seq):
		return nil, ErrCursorExpired
	}
	return list, nil
}

// PruneFeed forgets up to about limit entries that were made before a time, and
// tells how many; whoever has not read them must start anew.
func (s *Service) PruneFeed(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		old, err := s.oldEntries(ctx, before, limit)
		if err != nil || len(old) == 0 {
			return err
		}
		upTo := map[id.ID]int64{}
		for _, e := range old {
			upTo[e.UserID] = max(upTo[e.UserID], e.Seq)
		}
		n, err = s.deleteEntries(ctx, upTo)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("prune feeds: %w", err)
	}
	return n, nil
}
