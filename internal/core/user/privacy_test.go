package user_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/user"
)

// populate gives ada a device and a contact.
func populate(t *testing.T, b *testBundle) (ada, bob user.User) {
	t.Helper()
	ada, bob = b.provision("ada"), b.provision("bob")
	if _, err := b.RegisterDevice(t.Context(), as(ada), "Phone", ownKey); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.SetContact(t.Context(), server, user.ContactInput{UserID: ada.ID, ContactID: bob.ID, State: user.ContactMutual}); err != nil {
		t.Fatal(err)
	}
	return ada, bob
}

func TestService_PersonalData(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ada, bob := populate(t, b)
		document, err := b.PersonalData(t.Context(), as(ada))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Format  string
			User    struct{ ID, ExternalID, DisplayName, Mode, Status string }
			Devices []struct {
				Name, Thumbprint string
				PublicKey        map[string]string
			}
			Contacts []struct{ UserID, DisplayName string }
			Coins    []string
		}
		if err := json.Unmarshal(document, &got); err != nil {
			t.Fatal(err)
		}
		if got.Format != "souk-personal-data/1" || got.User.ID != id.Global("User", ada.ID) || got.User.ExternalID != "ada" || got.User.Mode != "sandbox-1" {
			t.Errorf("exported %+v", got)
		}
		if len(got.Devices) != 1 || got.Devices[0].PublicKey["crv"] != "Ed25519" || got.Devices[0].Name != "Phone" {
			t.Errorf("devices %+v", got.Devices)
		}
		if len(got.Contacts) != 1 || got.Contacts[0].UserID != id.Global("User", bob.ID) || got.Contacts[0].DisplayName != "bob" {
			t.Errorf("contacts %+v", got.Contacts)
		}
		if !slices.Equal(got.Coins, []string{"coin of " + ada.ID.String()}) {
			t.Errorf("coins %q", got.Coins)
		}
	})
}

func TestService_Erase(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := populate(t, b)
		erased, err := b.Erase(ctx, server, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		if erased.ID != ada.ID || erased.Status != user.Erased || strings.Contains(erased.ExternalID+erased.DisplayName, "ada") {
			t.Errorf("left %+v", erased)
		}
		if got := b.heard(); !slices.Equal(got, []auth.Revocation{{UserID: ada.ID}}) {
			t.Errorf("revoked %+v", got)
		}
		if !slices.Equal(b.contributor.erased, []id.ID{ada.ID}) || !slices.Equal(b.left, []id.ID{ada.ID}) {
			t.Errorf("erased %v, left %v", b.contributor.erased, b.left)
		}
		_, err = b.ResolveUser(ctx, 1, issuer, "ada")
		refused(t, err, user.ErrNotFound)
		if list, err := b.Devices(ctx, as(ada), page.Slice{Limit: 1}); err != nil || len(list.Items) != 0 {
			t.Errorf("devices %v, %v", list.Items, err)
		}
		if list, err := b.Contacts(ctx, as(bob), page.Slice{Limit: 1}); err != nil || len(list.Items) != 0 {
			t.Errorf("bob's contacts %v, %v", list.Items, err)
		}
		if again, err := b.Erase(ctx, server, ada.ID); err != nil || again != erased || len(b.contributor.erased) != 1 {
			t.Errorf("erased again: %+v, %v", again, err)
		}
		_, err = b.Remove(ctx, server, ada.ID)
		refused(t, err, user.ErrGone)
		next, created, err := b.Provision(ctx, server, user.Profile{ExternalID: "ada", DisplayName: "Another Ada"})
		if err != nil || !created || next.ID == ada.ID {
			t.Errorf("the name is not free: %+v, %v, %v", next, created, err)
		}
		// Who had it before may still hold tokens.
		if a, err := b.ResolveUser(ctx, 1, issuer, "ada"); err != nil || a.UserID != next.ID || !a.TokensValidAfter.Equal(b.clock.Now(0)) {
			t.Errorf("another Ada's tokens are valid after %v, %v", a.TokensValidAfter, err)
		}
		for _, line := range b.audited(ada.ID) {
			if strings.Contains(line, "ada") {
				t.Errorf("the audit log has %q", line)
			}
		}
	})
}

func TestService_Erase_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := populate(t, b)
		b.heard()
		b.contributor.blocks = errs.New(errs.Failed, "COINS_LEFT", "There is a coin left.")
		_, err := b.Erase(ctx, server, ada.ID)
		refused(t, err, user.ErrHasFunds)
		if errs.As(err).Message != "There is a coin left." {
			t.Errorf("said %q", errs.As(err).Message)
		}
		b.contributor.blocks = errors.New("nobody knows")
		if _, err := b.Erase(ctx, server, ada.ID); err == nil || errs.IsRefusal(err) {
			t.Errorf("an unknown answer gave %v", err)
		}
		b.contributor.blocks, b.contributor.fails = nil, errors.New("broken")
		if _, err := b.Erase(ctx, server, ada.ID); err == nil {
			t.Error("half an erasure was done")
		}
		// Nothing of all that left a trace.
		found, err := b.ByExternalID(ctx, server, "ada")
		if err != nil || found.Status != user.Active || len(b.heard()) != 0 {
			t.Errorf("left %+v, %v", found, err)
		}
		if list, err := b.Contacts(ctx, as(bob), page.Slice{Limit: 1}); err != nil || len(list.Items) != 1 {
			t.Errorf("bob's contacts %v, %v", list.Items, err)
		}
		_, err = b.Erase(ctx, server, id.New())
		refused(t, err, user.ErrNotFound)
	})
}
