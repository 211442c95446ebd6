package chat

import (
	"context"
	"fmt"
	"time"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/conversation"
	"github.com/soukhq/souk/ent/member"
	"github.com/soukhq/souk/ent/predicate"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

// shown are the conversations that were not removed.
func (s *Service) shown(ctx context.Context, which ...predicate.Conversation) *ent.ConversationQuery {
	return s.db.Client(ctx).Conversation.Query().Where(conversation.RemovedAtIsNil()).Where(which...)
}

func withMember(userID id.ID) predicate.Conversation {
	return conversation.HasMembersWith(member.UserID(userID))
}

func (s *Service) conversationsOf(ctx context.Context, userID id.ID, ids []id.ID) (map[id.ID]Conversation, error) {
	return readConversations(s.shown(ctx, conversation.IDIn(ids...), withMember(userID)).All(ctx))
}

func (s *Service) conversationsIn(ctx context.Context, m mode.Mode, issuer string, ids []id.ID) (map[id.ID]Conversation, error) {
	return readConversations(s.shown(ctx, conversation.IDIn(ids...), conversation.Mode(m), conversation.Issuer(issuer)).All(ctx))
}

func readConversations(rows []*ent.Conversation, err error) (map[id.ID]Conversation, error) {
	if err != nil {
		return nil, fmt.Errorf("read conversations: %w", err)
	}
	out := make(map[id.ID]Conversation, len(rows))
	for _, r := range rows {
		out[r.ID] = fromRow(r)
	}
	return out, nil
}

func (s *Service) conversations(ctx context.Context, userID id.ID, sl page.Slice) ([]Conversation, error) {
	q := s.shown(ctx, withMember(userID)).Limit(sl.Limit + 1)
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(conversation.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(conversation.IDGT(p))
	}
	rows, err := q.Order(conversation.ByID(store.Newest(sl))).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, fromRow), nil
}

// lock locks a conversation that was not removed.
func (s *Service) lock(ctx context.Context, conversationID id.ID) (Conversation, error) {
	r, err := store.Lock(s.db, s.shown(ctx, conversation.ID(conversationID))).Only(ctx)
	if ent.IsNotFound(err) {
		return Conversation{}, ErrNotFound
	}
	if err != nil {
		return Conversation{}, fmt.Errorf("lock conversation: %w", err)
	}
	return fromRow(r), nil
}

// lockNamed locks a conversation by the chat app's name for it, and tells whether
// it was removed. It gives an empty one when there is none.
func (s *Service) lockNamed(ctx context.Context, m mode.Mode, issuer, externalID string) (c Conversation, removed bool, err error) {
	r, err := store.Lock(s.db, s.db.Client(ctx).Conversation.Query().
		Where(conversation.Mode(m), conversation.Issuer(issuer), conversation.ExternalID(externalID))).Only(ctx)
	if ent.IsNotFound(err) {
		return Conversation{}, false, nil
	}
	if err != nil {
		return Conversation{}, false, fmt.Errorf("lock conversation: %w", err)
	}
	return fromRow(r), r.RemovedAt != nil, nil
}

func (s *Service) insertConversation(ctx context.Context, c Conversation) error {
	return s.db.Client(ctx).Conversation.Create().
		SetID(c.ID).SetMode(c.Mode).SetIssuer(c.Issuer).SetExternalID(c.ExternalID).SetTitle(c.Title).
		SetCreatedAt(c.CreatedAt).Exec(ctx)
}

func (s *Service) saveTitle(ctx context.Context, c Conversation) error {
	return s.db.Client(ctx).Conversation.Update().Where(conversation.ID(c.ID)).SetTitle(c.Title).Exec(ctx)
}

func (s *Service) markRemoved(ctx context.Context, c Conversation) error {
	return s.db.Client(ctx).Conversation.Update().Where(conversation.ID(c.ID)).SetRemovedAt(s.clock.Now(c.Mode)).Exec(ctx)
}

func fromRow(r *ent.Conversation) Conversation {
	return Conversation{
		ID: r.ID, Mode: r.Mode, Issuer: r.Issuer, ExternalID: r.ExternalID, Title: r.Title,
		LastSeq: r.LastSeq, CreatedAt: r.CreatedAt,
	}
}

func (s *Service) members(ctx context.Context, conversationID id.ID, sl page.Slice) ([]Member, error) {
	q := s.db.Client(ctx).Member.Query().Where(member.ConversationID(conversationID)).Limit(sl.Limit + 1)
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(member.IDGT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(member.IDLT(p))
	}
	rows, err := q.Order(member.ByID(oldest(sl))).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, memberFromRow), nil
}

// memberIDs reads all members, of whom there are at most MembersMax.
func (s *Service) memberIDs(ctx context.Context, conversationID id.ID) ([]id.ID, error) {
	var ids []id.ID
	err := s.db.Client(ctx).Member.Query().Where(member.ConversationID(conversationID)).
		Select(member.FieldUserID).Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	return ids, nil
}

func (s *Service) companions(ctx context.Context, userID id.ID, ids []id.ID) ([]id.ID, error) {
	var found []id.ID
	err := s.db.Client(ctx).Member.Query().
		Where(member.UserIDIn(ids...), member.HasConversationWith(conversation.RemovedAtIsNil(), withMember(userID))).
		Unique(true).Select(member.FieldUserID).Scan(ctx, &found)
	return found, err
}

func (s *Service) insertMembers(ctx context.Context, c Conversation, users []id.ID) error {
	if len(users) == 0 {
		return nil
	}
	now := s.clock.Now(c.Mode)
	return s.db.Client(ctx).Member.MapCreateBulk(users, func(create *ent.MemberCreate, i int) {
		create.SetConversationID(c.ID).SetUserID(users[i]).SetCreatedAt(now)
	}).Exec(ctx)
}

func (s *Service) deleteMembers(ctx context.Context, conversationID id.ID, users []id.ID) error {
	if len(users) == 0 {
		return nil
	}
	_, err := s.db.Client(ctx).Member.Delete().
		Where(member.ConversationID(conversationID), member.UserIDIn(users...)).Exec(ctx)
	return err
}

// deleteMemberships tells which conversations the user was in.
func (s *Service) deleteMemberships(ctx context.Context, userID id.ID) (left []id.ID, err error) {
	members := s.db.Client(ctx).Member
	if err := members.Query().Where(member.UserID(userID)).Select(member.FieldConversationID).Scan(ctx, &left); err != nil {
		return nil, err
	}
	_, err = members.Delete().Where(member.UserID(userID)).Exec(ctx)
	return left, err
}

// membership is a conversation, and since when a user is in it.
type membership struct {
	Conversation
	joinedAt time.Time
}

// memberships reads as many as the chat app's server has made.
func (s *Service) memberships(ctx context.Context, userID id.ID) ([]membership, error) {
	rows, err := s.db.Client(ctx).Member.Query().
		Where(member.UserID(userID), member.HasConversationWith(conversation.RemovedAtIsNil())).
		WithConversation().Order(ent.Asc(member.FieldID)).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, func(r *ent.Member) membership {
		return membership{fromRow(r.Edges.Conversation), r.CreatedAt}
	}), nil
}

func memberFromRow(r *ent.Member) Member {
	return Member{ID: r.ID, ConversationID: r.ConversationID, UserID: r.UserID, JoinedAt: r.CreatedAt}
}

func mapRows[R, T any](rows []R, from func(R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = from(r)
	}
	return out
}
