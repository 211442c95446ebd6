package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/feed"
	"github.com/soukhq/souk/ent/feedentry"
	"github.com/soukhq/souk/internal/base/id"
)

func inOrder(a, b id.ID) int { return bytes.Compare(a[:], b[:]) }

// advance locks feeds, in the order in which their users are given, makes those
// that are not there yet, and moves their numbers on by n. It gives the newest
// number of each.
func (s *Service) advance(ctx context.Context, users []id.ID, n int64) (map[id.ID]int64, error) {
	insert := entsql.Dialect(s.db.Engine()).Insert(feed.Table).
		Columns(feed.FieldID, feed.FieldLastSeq, feed.FieldPrunedSeq)
	for _, u := range users {
		insert.Values(u, n, 0)
	}
	query, args := insert.OnConflict(
		entsql.ConflictColumns(feed.FieldID),
		entsql.ResolveWith(func(u *entsql.UpdateSet) { u.Add(feed.FieldLastSeq, n) }),
	).Returning(feed.FieldID, feed.FieldLastSeq).Query()
	rows, err := s.db.SQL(ctx).QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	last := make(map[id.ID]int64, len(users))
	for rows.Next() {
		var (
			u   id.ID
			seq int64
		)
		if err := rows.Scan(&u, &seq); err != nil {
			return nil, err
		}
		last[u] = seq
	}
	return last, errors.Join(rows.Err(), rows.Close())
}

func (s *Service) lockFeed(ctx context.Context, userID id.ID) error {
	_, err := s.advance(ctx, []id.ID{userID}, 0)
	return err
}

// insertEntries adds an entry to the feeds of users, who are in the order of
// their ids.
func (s *Service) insertEntries(ctx context.Context, users []id.ID, e Entry) error {
	if len(users) == 0 {
		return nil
	}
	last, err := s.advance(ctx, users, 1)
	if err != nil {
		return err
	}
	return s.db.Client(ctx).FeedEntry.MapCreateBulk(users, func(create *ent.FeedEntryCreate, i int) {
		create.SetUserID(users[i]).SetSeq(last[users[i]]).SetKind(feedentry.Kind(e.Kind)).
			SetSubjectID(e.SubjectID).SetVersion(e.Version).SetCreatedAt(e.CreatedAt)
	}).Exec(ctx)
}

func (s *Service) hasEntry(ctx context.Context, userID, subjectID id.ID, version int32) (bool, error) {
	return s.db.Client(ctx).FeedEntry.Query().
		Where(feedentry.UserID(userID), feedentry.SubjectID(subjectID), feedentry.Version(version)).Exist(ctx)
}

func (s *Service) entries(ctx context.Context, userID id.ID, after int64, limit int) ([]Entry, error) {
	rows, err := s.db.Client(ctx).FeedEntry.Query().
		Where(feedentry.UserID(userID), feedentry.SeqGT(after)).
		Order(ent.Asc(feedentry.FieldSeq)).Limit(limit).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, entryFromRow), nil
}

// head reads where a feed stands; a user without entries has none.
func (s *Service) head(ctx context.Context, userID id.ID) (head, error) {
	r, err := s.db.Client(ctx).Feed.Query().Where(feed.ID(userID)).Only(ctx)
	if ent.IsNotFound(err) {
		return head{}, nil
	}
	if err != nil {
		return head{}, fmt.Errorf("read feed: %w", err)
	}
	return head{last: r.LastSeq, pruned: r.PrunedSeq}, nil
}

func (s *Service) oldEntries(ctx context.Context, before time.Time, limit int) ([]Entry, error) {
	rows, err := s.db.Client(ctx).FeedEntry.Query().Where(feedentry.CreatedAtLT(before)).
		Order(ent.Asc(feedentry.FieldCreatedAt)).Limit(limit).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, entryFromRow), nil
}

// deleteEntries deletes the entries of feeds up to a number of each, and notes
// that they are gone.
func (s *Service) deleteEntries(ctx context.Context, upTo map[id.ID]int64) (n int, err error) {
	for _, u := range slices.SortedFunc(maps.Keys(upTo), inOrder) {
		if err := s.lockFeed(ctx, u); err != nil {
			return n, err
		}
		gone, err := s.deleteUpTo(ctx, u, upTo[u])
		if err != nil {
			return n, err
		}
		n += gone
	}
	return n, nil
}

// deleteUpTo is for a feed that is locked.
func (s *Service) deleteUpTo(ctx context.Context, userID id.ID, seq int64) (int, error) {
	err := s.db.Client(ctx).Feed.Update().Where(feed.ID(userID), feed.PrunedSeqLT(seq)).SetPrunedSeq(seq).Exec(ctx)
	if err != nil {
		return 0, err
	}
	return s.db.Client(ctx).FeedEntry.Delete().Where(feedentry.UserID(userID), feedentry.SeqLTE(seq)).Exec(ctx)
}

// clearFeed deletes all entries of a user's feed. Its numbers go on.
func (s *Service) clearFeed(ctx context.Context, userID id.ID) error {
	last, err := s.advance(ctx, []id.ID{userID}, 0)
	if err != nil {
		return err
	}
	_, err = s.deleteUpTo(ctx, userID, last[userID])
	return err
}

func entryFromRow(r *ent.FeedEntry) Entry {
	return Entry{
		UserID: r.UserID, Seq: r.Seq, Kind: EntryKind(r.Kind), SubjectID: r.SubjectID, Version: r.Version, CreatedAt: r.CreatedAt,
	}
}
