package user_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/user"
)

func TestService_Provision(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		u, created, err := b.Provision(ctx, server, user.Profile{ExternalID: "ada", DisplayName: "  Ada 👩‍🔬 "})
		if err != nil || !created {
			t.Fatalf("provisioned: %v, %v", created, err)
		}
		if u.DisplayName != "Ada 👩‍🔬" || u.Status != user.Active || u.Mode != 1 || u.Issuer != issuer || u.ExternalID != "ada" {
			t.Errorf("made %+v", u)
		}
		b.clock.Advance(time.Minute)
		again, created, err := b.Provision(ctx, server, user.Profile{ExternalID: "ada", DisplayName: "Ada Lovelace"})
		if err != nil || created || again.ID != u.ID || again.DisplayName != "Ada Lovelace" {
			t.Errorf("changed to %+v, %v, %v", again, created, err)
		}
		if !again.UpdatedAt.Equal(u.UpdatedAt.Add(time.Minute)) || !again.CreatedAt.Equal(u.CreatedAt) {
			t.Errorf("times are %v and %v", again.CreatedAt, again.UpdatedAt)
		}
		found, err := b.ByExternalID(ctx, server, "ada")
		if err != nil || found.ID != u.ID || found.DisplayName != "Ada Lovelace" {
			t.Errorf("found %+v, %v", found, err)
		}
		want := []string{"service:chat-app user.provision in sandbox-1", "service:chat-app user.provision in sandbox-1"}
		if got := b.audited(u.ID); !slices.Equal(got, want) {
			t.Errorf("audited %q", got)
		}
	})
}

func TestService_Provision_RealmsAreApart(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		u := b.provision("ada")
		elsewhere := []auth.Viewer{
			{Kind: auth.Service, Mode: 2, Issuer: issuer, Subject: "chat-app"},
			{Kind: auth.Operator, Mode: 1, Issuer: "https://other.example", Subject: "op"},
		}
		for _, v := range elsewhere {
			_, err := b.ByExternalID(ctx, v, "ada")
			refused(t, err, user.ErrNotFound)
			_, err = b.Block(ctx, v, u.ID, true)
			refused(t, err, user.ErrNotFound)
			_, err = b.Remove(ctx, v, u.ID)
			refused(t, err, user.ErrNotFound)
			_, err = b.Erase(ctx, v, u.ID)
			refused(t, err, user.ErrNotFound)
			_, err = b.RevokeTokens(ctx, v, u.ID)
			refused(t, err, user.ErrNotFound)
			if seen, err := b.Visible(ctx, v, []id.ID{u.ID}); err != nil || len(seen) != 0 {
				t.Errorf("%+v sees %v, %v", v, seen, err)
			}
			other, created, err := b.Provision(ctx, v, user.Profile{ExternalID: "ada", DisplayName: "Another"})
			if err != nil || !created || other.ID == u.ID {
				t.Errorf("%+v made %+v, %v, %v", v, other, created, err)
			}
			_, _, err = b.SetContact(ctx, v, user.ContactInput{UserID: other.ID, ContactID: u.ID, State: user.ContactMutual})
			refused(t, err, user.ErrNotFound, "contactId")
		}
		if len(b.heard()) != 0 {
			t.Error("somebody was revoked")
		}
	})
}

func TestService_Provision_AtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		var all sync.WaitGroup
		var made atomic.Int32
		ids := make([]id.ID, 16)
		for i := range ids {
			all.Go(func() {
				u, created, err := b.Provision(t.Context(), server, user.Profile{ExternalID: "ada", DisplayName: "Ada"})
				if err != nil {
					t.Error(err)
				}
				if created {
					made.Add(1)
				}
				ids[i] = u.ID
			})
		}
		all.Wait()
		if made.Load() != 1 || len(slices.Compact(ids)) != 1 {
			t.Errorf("%d were made: %v", made.Load(), ids)
		}
	})
}

func TestService_Provision_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		for _, c := range []struct{ externalID, name, field string }{
			{"", "Ada", "externalId"},
			{" ada", "Ada", "externalId"},
			{"a\nda", "Ada", "externalId"},
			{strings.Repeat("a", 256), "Ada", "externalId"},
			{strings.Repeat("é", 128), "Ada", "externalId"},
			{"ada", " ", "displayName"},
			{"ada", "A\x00da", "displayName"},
			{"ada", "A\nda", "displayName"},
			{"ada", "\xff", "displayName"},
			{"ada", strings.Repeat("a", 201), "displayName"},
		} {
			_, _, err := b.Provision(ctx, server, user.Profile{ExternalID: c.externalID, DisplayName: c.name})
			refused(t, err, user.ErrText, c.field)
		}
		u := b.provision("ada")
		if _, err := b.Remove(ctx, server, u.ID); err != nil {
			t.Fatal(err)
		}
		_, _, err := b.Provision(ctx, server, user.Profile{ExternalID: "ada", DisplayName: "Ada"})
		refused(t, err, user.ErrGone)
	})
}

func TestService_Provision_LongNames(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		name := strings.Repeat("語", user.NameMax)
		u, _, err := b.Provision(t.Context(), server, user.Profile{ExternalID: strings.Repeat("a", user.ExternalIDMax), DisplayName: name})
		if err != nil || u.DisplayName != name {
			t.Error(err)
		}
	})
}

// TestService_Roles tries each action with everybody who may not do it.
func TestService_Roles(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		u := b.provision("ada")
		merchant := auth.Viewer{Kind: auth.Merchant, Mode: 1, MerchantID: id.New(), TokenID: "m"}
		sl := page.Slice{Limit: 1}
		servers := map[string]func(auth.Viewer) error{
			"Provision": func(v auth.Viewer) error {
				_, _, err := b.Provision(ctx, v, user.Profile{ExternalID: "x", DisplayName: "x"})
				return err
			},
			"ByExternalID": func(v auth.Viewer) error { _, err := b.ByExternalID(ctx, v, "ada"); return err },
			"Block":        func(v auth.Viewer) error { _, err := b.Block(ctx, v, u.ID, true); return err },
			"Remove":       func(v auth.Viewer) error { _, err := b.Remove(ctx, v, u.ID); return err },
			"Erase":        func(v auth.Viewer) error { _, err := b.Erase(ctx, v, u.ID); return err },
			"RevokeTokens": func(v auth.Viewer) error { _, err := b.RevokeTokens(ctx, v, u.ID); return err },
			"SetContact": func(v auth.Viewer) error {
				_, _, err := b.SetContact(ctx, v, user.ContactInput{UserID: u.ID})
				return err
			},
		}
		people := map[string]func(auth.Viewer) error{
			"Contacts":       func(v auth.Viewer) error { _, err := b.Contacts(ctx, v, sl); return err },
			"Devices":        func(v auth.Viewer) error { _, err := b.Devices(ctx, v, sl); return err },
			"RegisterDevice": func(v auth.Viewer) error { _, err := b.RegisterDevice(ctx, v, "Phone", ownKey); return err },
			"RevokeDevice":   func(v auth.Viewer) error { _, err := b.RevokeDevice(ctx, v, id.New()); return err },
			"PersonalData":   func(v auth.Viewer) error { _, err := b.PersonalData(ctx, v); return err },
		}
		for name, try := range servers {
			for _, v := range []auth.Viewer{as(u), merchant} {
				t.Log(name, v.Kind)
				refused(t, try(v), errs.ErrForbidden)
			}
			refused(t, try(auth.Viewer{}), errs.ErrUnauthenticated)
		}
		for name, try := range people {
			for _, v := range []auth.Viewer{server, merchant} {
				t.Log(name, v.Kind)
				refused(t, try(v), errs.ErrForbidden)
			}
			refused(t, try(auth.Viewer{}), errs.ErrUnauthenticated)
		}
		refused(t, b.RevokeToken(ctx, merchant), errs.ErrForbidden)
		refused(t, b.RevokeToken(ctx, auth.Viewer{}), errs.ErrUnauthenticated)
		for _, v := range []auth.Viewer{merchant, {}} {
			if seen, err := b.Visible(ctx, v, []id.ID{u.ID}); err != nil || len(seen) != 0 {
				t.Errorf("%v sees %v, %v", v.Kind, seen, err)
			}
		}
	})
}

func TestService_Block(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		u := b.provision("ada")
		for range 2 { // the second changes nothing
			blocked, err := b.Block(ctx, server, u.ID, true)
			if err != nil || blocked.Status != user.Blocked {
				t.Fatalf("blocked: %+v, %v", blocked, err)
			}
			if got := b.heard(); !slices.Equal(got, []auth.Revocation{{UserID: u.ID}}) {
				t.Errorf("revoked %+v", got)
			}
		}
		if a, err := b.ResolveUser(ctx, 1, issuer, "ada"); err != nil || a.Active {
			t.Errorf("resolved to %+v, %v", a, err)
		}
		unblocked, err := b.Block(ctx, server, u.ID, false)
		if err != nil || unblocked.Status != user.Active || len(b.heard()) != 0 {
			t.Errorf("unblocked: %+v, %v", unblocked, err)
		}
		if a, err := b.ResolveUser(ctx, 1, issuer, "ada"); err != nil || !a.Active || a.UserID != u.ID || a.Mode != 1 {
			t.Errorf("resolved to %+v, %v", a, err)
		}
		_, err = b.Block(ctx, server, id.New(), true)
		refused(t, err, user.ErrNotFound)
	})
}

func TestService_Remove(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := b.provision("ada"), b.provision("bob")
		if _, _, err := b.SetContact(ctx, server, user.ContactInput{UserID: ada.ID, ContactID: bob.ID, State: user.ContactMutual}); err != nil {
			t.Fatal(err)
		}
		removed, err := b.Remove(ctx, server, ada.ID)
		if err != nil || removed.Status != user.Removed {
			t.Fatalf("removed: %+v, %v", removed, err)
		}
		if got := b.heard(); !slices.Equal(got, []auth.Revocation{{UserID: ada.ID}}) {
			t.Errorf("revoked %+v", got)
		}
		if !slices.Equal(b.left, []id.ID{ada.ID}) {
			t.Errorf("%v left", b.left)
		}
		if list, err := b.Contacts(ctx, as(bob), page.Slice{Limit: 10}); err != nil || len(list.Items) != 0 {
			t.Errorf("bob still has %v, %v", list.Items, err)
		}
		if again, err := b.Remove(ctx, server, ada.ID); err != nil || again.Status != user.Removed {
			t.Errorf("removed again: %+v, %v", again, err)
		}
		_, err = b.Block(ctx, server, ada.ID, false)
		refused(t, err, user.ErrGone)
		_, err = b.RevokeTokens(ctx, server, ada.ID)
		refused(t, err, user.ErrGone)
		_, _, err = b.SetContact(ctx, server, user.ContactInput{UserID: bob.ID, ContactID: ada.ID, State: user.ContactMutual})
		refused(t, err, user.ErrGone, "contactId")
		if active, err := b.LockUsers(ctx, 1, issuer, []id.ID{ada.ID, bob.ID, id.New()}); err != nil || !maps.Equal(active, map[id.ID]bool{ada.ID: false, bob.ID: true}) {
			t.Errorf("active are %v, %v", active, err)
		}
	})
}

func TestService_RevokeTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		u := b.provision("ada")
		got, err := b.RevokeTokens(ctx, server, u.ID)
		if err != nil || !got.TokensValidAfter.Equal(b.clock.Now(0)) {
			t.Fatalf("valid after %v, %v", got.TokensValidAfter, err)
		}
		if said := b.heard(); !slices.Equal(said, []auth.Revocation{{UserID: u.ID}}) {
			t.Errorf("revoked %+v", said)
		}
		a, err := b.ResolveUser(ctx, 1, issuer, "ada")
		if err != nil || !a.Active || !a.TokensValidAfter.Equal(b.clock.Now(0)) {
			t.Errorf("resolved to %+v, %v", a, err)
		}
	})
}

func TestService_ResolveUser_Unknown(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		b.provision("ada")
		for _, c := range []struct {
			issuer, subject string
			v               auth.Viewer
		}{{issuer, "bob", server}, {"https://other.example", "ada", server}, {issuer, "ada", auth.Viewer{Mode: 2}}} {
			_, err := b.ResolveUser(t.Context(), c.v.Mode, c.issuer, c.subject)
			refused(t, err, user.ErrNotFound)
		}
	})
}

func TestService_SetContact(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := b.provision("ada"), b.provision("bob")
		set := func(u, contact user.User, state user.ContactState) {
			t.Helper()
			got, other, err := b.SetContact(ctx, server, user.ContactInput{UserID: u.ID, ContactID: contact.ID, State: state})
			if err != nil || got.ID != u.ID || other.ID != contact.ID {
				t.Fatalf("set %s: %v", state, err)
			}
		}
		sees := func(u user.User, want ...id.ID) {
			t.Helper()
			list, err := b.Contacts(ctx, as(u), page.Slice{Limit: 10})
			var got []id.ID
			for _, c := range list.Items {
				got = append(got, c.ContactID)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s has %v, want %v, %v", u.ExternalID, got, want, err)
			}
		}
		set(ada, bob, user.ContactMutual)
		set(ada, bob, user.ContactMutual) // changes nothing
		sees(ada, bob.ID)
		sees(bob, ada.ID)
		set(ada, bob, user.ContactBlocked)
		sees(ada)
		sees(bob, ada.ID)
		set(bob, ada, user.ContactMutual)
		sees(ada, bob.ID)
		set(bob, ada, user.ContactNone)
		sees(ada)
		sees(bob)
		set(bob, ada, user.ContactBlocked) // without having been contacts
		sees(bob)
		sees(ada)
		if got := b.audited(ada.ID); len(got) != 4 || got[3] != "service:chat-app contact.set in sandbox-1" {
			t.Errorf("audited %q", got)
		}

		for _, c := range []struct {
			in    user.ContactInput
			want  *errs.Error
			field string
		}{
			{user.ContactInput{UserID: ada.ID, ContactID: ada.ID, State: user.ContactMutual}, user.ErrContact, "contactId"},
			{user.ContactInput{UserID: ada.ID, ContactID: bob.ID, State: "FRIEND"}, user.ErrContact, "state"},
			{user.ContactInput{UserID: id.New(), ContactID: bob.ID, State: user.ContactMutual}, user.ErrNotFound, "userId"},
			{user.ContactInput{UserID: ada.ID, ContactID: id.New(), State: user.ContactNone}, user.ErrNotFound, "contactId"},
		} {
			_, _, err := b.SetContact(ctx, server, c.in)
			refused(t, err, c.want, c.field)
		}
	})
}

func TestService_SetContact_AtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ada, bob := b.provision("ada"), b.provision("bob")
		var all sync.WaitGroup
		for i := range 12 {
			pair := user.ContactInput{UserID: ada.ID, ContactID: bob.ID, State: user.ContactMutual}
			if i%2 == 0 {
				pair.UserID, pair.ContactID = pair.ContactID, pair.UserID
			}
			all.Go(func() {
				if _, _, err := b.SetContact(t.Context(), server, pair); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, u := range []user.User{ada, bob} {
			if list, err := b.Contacts(t.Context(), as(u), page.Slice{Limit: 10}); err != nil || len(list.Items) != 1 {
				t.Errorf("%s has %d contacts, %v", u.ExternalID, len(list.Items), err)
			}
		}
	})
}

func TestService_Contacts_Pages(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada := b.provision("ada")
		var newest []id.ID
		for _, name := range []string{"b", "c", "d", "e", "f"} {
			u := b.provision(name)
			if _, _, err := b.SetContact(ctx, server, user.ContactInput{UserID: ada.ID, ContactID: u.ID, State: user.ContactMutual}); err != nil {
				t.Fatal(err)
			}
			newest = append([]id.ID{u.ID}, newest...)
		}
		read := func(sl page.Slice) page.List[user.Contact] {
			t.Helper()
			list, err := b.Contacts(ctx, as(ada), sl)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		var forward, backward []id.ID
		for sl := (page.Slice{Limit: 2}); ; {
			list := read(sl)
			for _, c := range list.Items {
				forward = append(forward, c.ContactID)
			}
			if !list.HasNext {
				break
			}
			sl.After = user.ContactPosition(list.Items[len(list.Items)-1])
		}
		for sl := (page.Slice{Limit: 2, Backward: true}); ; {
			list := read(sl)
			for _, c := range slices.Backward(list.Items) {
				backward = append([]id.ID{c.ContactID}, backward...)
			}
			if !list.HasPrev {
				break
			}
			sl.Before = user.ContactPosition(list.Items[0])
		}
		if !slices.Equal(forward, newest) || !slices.Equal(backward, newest) {
			t.Errorf("forward %v, backward %v, want %v", forward, backward, newest)
		}
	})
}

func TestService_Visible(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, friend, foe, companion, stranger := b.provision("ada"), b.provision("friend"), b.provision("foe"), b.provision("companion"), b.provision("stranger")
		b.members = []id.ID{ada.ID, companion.ID}
		for contact, state := range map[id.ID]user.ContactState{friend.ID: user.ContactMutual, foe.ID: user.ContactBlocked} {
			if _, _, err := b.SetContact(ctx, server, user.ContactInput{UserID: ada.ID, ContactID: contact, State: state}); err != nil {
				t.Fatal(err)
			}
		}
		everybody := []id.ID{ada.ID, friend.ID, foe.ID, companion.ID, stranger.ID, id.New()}
		seen, err := b.Visible(ctx, as(ada), everybody)
		if err != nil || len(seen) != 3 || seen[ada.ID].ID != ada.ID || seen[friend.ID].DisplayName != "friend" || seen[companion.ID].ID != companion.ID {
			t.Errorf("ada sees %v, %v", seen, err)
		}
		if seen, err = b.Visible(ctx, server, everybody); err != nil || len(seen) != 5 {
			t.Errorf("the server sees %d, %v", len(seen), err)
		}
		if all, err := b.ByIDs(ctx, everybody); err != nil || len(all) != 5 {
			t.Errorf("a loader finds %d, %v", len(all), err)
		}
	})
}
