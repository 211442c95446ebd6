package chat

import (
	"context"
	"fmt"

	"github.com/soukhq/souk/internal/base/audit"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
)

// Provision creates a conversation of the viewer's mode and issuer, or changes
// the one with the same external id; its members become those that are given.
// Only for servers.
//
// Refusals: TEXT_INVALID, MEMBER_LIMIT, MEMBER_NOT_FOUND,
// CONVERSATION_NOT_FOUND when it was removed before: those who are new to it
// shall not find what others once wrote there.
func (s *Service) Provision(ctx context.Context, v auth.Viewer, n NewConversation) (c Conversation, created bool, err error) {
	if err := server(v); err != nil {
		return Conversation{}, false, err
	}
	if n, err = n.clean(); err != nil {
		return Conversation{}, false, err
	}
	err = s.settle(ctx, func(ctx context.Context) error {
		active, err := s.with.Users.LockUsers(ctx, v.Mode, v.Issuer, n.MemberIDs)
		if err != nil {
			return err
		}
		for _, member := range n.MemberIDs {
			if !active[member] {
				return ErrMemberNotFound.In("memberIds")
			}
		}
		if c, created, err = s.upsert(ctx, v, n); err != nil {
			return err
		}
		changed, err := s.replaceMembers(ctx, c, n.MemberIDs)
		if err != nil {
			return err
		}
		if changed {
			s.wake(ctx, conversationTopic(c.ID)) // followers who are out must end
		}
		return s.record(ctx, v, "conversation.provision", c.ID, map[string]any{"created": created, "memberCount": len(n.MemberIDs)})
	})
	if err != nil {
		return Conversation{}, false, fmt.Errorf("provision conversation: %w", err)
	}
	return c, created, nil
}

func (s *Service) upsert(ctx context.Context, v auth.Viewer, n NewConversation) (Conversation, bool, error) {
	c, removed, err := s.lockNamed(ctx, v.Mode, v.Issuer, n.ExternalID)
	switch {
	case err != nil:
		return Conversation{}, false, err
	case removed:
		return Conversation{}, false, ErrNotFound.In("externalId")
	case c.ID == id.Nil:
		c = Conversation{
			ID: id.New(), Mode: v.Mode, Issuer: v.Issuer, ExternalID: n.ExternalID, Title: n.Title,
			CreatedAt: s.clock.Now(v.Mode),
		}
		return c, true, s.insertConversation(ctx, c)
	case c.Title == n.Title:
		return c, false, nil
	}
	c.Title = n.Title
	return c, false, s.saveTitle(ctx, c)
}

// replaceMembers leaves those who stay in their place.
func (s *Service) replaceMembers(ctx context.Context, c Conversation, wanted []id.ID) (changed bool, err error) {
	current, err := s.memberIDs(ctx, c.ID)
	if err != nil {
		return false, err
	}
	gone, joined := without(current, wanted), without(wanted, current)
	if err := s.deleteMembers(ctx, c.ID, gone); err != nil {
		return false, err
	}
	return len(gone)+len(joined) > 0, s.insertMembers(ctx, c, joined)
}

// without gives those of ids that are not among others.
func without(ids, others []id.ID) []id.ID {
	among := make(map[id.ID]bool, len(others))
	for _, o := range others {
		among[o] = true
	}
	var rest []id.ID
	for _, u := range ids {
		if !among[u] {
			rest = append(rest, u)
		}
	}
	return rest
}

// Remove ends a conversation: nobody is shown it or its messages any more. Only
// for servers.
//
// Refusals: CONVERSATION_NOT_FOUND.
func (s *Service) Remove(ctx context.Context, v auth.Viewer, conversationID id.ID) error {
	if err := server(v); err != nil {
		return err
	}
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		c, err := s.lock(ctx, conversationID)
		if err != nil {
			return err
		}
		if c.Mode != v.Mode || c.Issuer != v.Issuer {
			return ErrNotFound
		}
		if err := s.markRemoved(ctx, c); err != nil {
			return err
		}
		s.wake(ctx, conversationTopic(c.ID))
		return s.record(ctx, v, "conversation.remove", c.ID, nil)
	})
	if err != nil {
		return fmt.Errorf("remove conversation: %w", err)
	}
	return nil
}

// Leave ends all memberships of a user, who was locked.
func (s *Service) Leave(ctx context.Context, userID id.ID) error {
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		left, err := s.deleteMemberships(ctx, userID)
		for _, conversationID := range left {
			s.wake(ctx, conversationTopic(conversationID))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("leave conversations: %w", err)
	}
	return nil
}

func (s *Service) record(ctx context.Context, v auth.Viewer, action string, subject id.ID, detail any) error {
	return audit.Record(ctx, s.db, audit.Entry{
		By: v, Action: action, SubjectID: subject, Detail: detail, At: s.clock.Now(v.Mode),
	})
}
