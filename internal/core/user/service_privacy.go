package user

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
)

// Contributor is a domain that holds more of a user than this one does.
type Contributor interface {
	// Section names the domain's part of a user's personal data.
	Section() string
	// Export gives that part, for JSON. It reads only.
	Export(ctx context.Context, userID id.ID) (any, error)
	// Blocks refuses, in words for the user, while money or an open order stands
	// against erasing the user; nil when nothing does, and nothing will until the
	// transaction of ctx has ended.
	Blocks(ctx context.Context, userID id.ID) error
	// Erase takes what is personal out of the domain's rows, in the transaction of
	// ctx. The ledger stays.
	Erase(ctx context.Context, userID id.ID) error
}

// Erase takes a user's personal data away; the ledger keeps amounts and dates. A
// user who was erased before stays so. Only for servers.
//
// Refusals: USER_NOT_FOUND, USER_HAS_FUNDS.
func (s *Service) Erase(ctx context.Context, v auth.Viewer, userID id.ID) (User, error) {
	return s.change(ctx, v, "user.erase", userID, func(ctx context.Context, u *User) error {
		if u.Status == Erased {
			return nil
		}
		if err := s.mayErase(ctx, u.ID); err != nil {
			return err
		}
		for _, c := range s.with.Contributors {
			if err := c.Erase(ctx, u.ID); err != nil {
				return fmt.Errorf("erase %s: %w", c.Section(), err)
			}
		}
		if err := s.deleteDevices(ctx, u.ID); err != nil {
			return err
		}
		if err := s.revokeName(ctx, realm{u.Mode, u.Issuer}, u.ExternalID, s.clock.Now(mode.Live)); err != nil {
			return err
		}
		*u = u.erased()
		return s.leave(ctx, u.ID)
	})
}

// mayErase asks every domain whether something stands against it.
func (s *Service) mayErase(ctx context.Context, userID id.ID) error {
	for _, c := range s.with.Contributors {
		err := c.Blocks(ctx, userID)
		if errs.IsRefusal(err) {
			refusal := ErrHasFunds.Because(err)
			refusal.Message = errs.As(err).Message
			return refusal
		}
		if err != nil {
			return fmt.Errorf("ask %s: %w", c.Section(), err)
		}
	}
	return nil
}

// formatVersion changes when a reader of the export would misread it.
const formatVersion = "souk-personal-data/1"

// PersonalData gives all that is held about the viewer as one JSON document
// (GDPR articles 15 and 20), read at one moment. Only for users.
func (s *Service) PersonalData(ctx context.Context, v auth.Viewer) ([]byte, error) {
	if err := person(v); err != nil {
		return nil, err
	}
	document := map[string]any{"format": formatVersion, "exportedAt": s.clock.Now(mode.Live)}
	err := s.db.InSnapshot(ctx, func(ctx context.Context) error {
		if err := s.exportOwn(ctx, v.UserID, document); err != nil {
			return err
		}
		for _, c := range s.with.Contributors {
			section, err := c.Export(ctx, v.UserID)
			if err != nil {
				return fmt.Errorf("export %s: %w", c.Section(), err)
			}
			document[c.Section()] = section
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("personal data: %w", err)
	}
	return json.MarshalIndent(document, "", "  ")
}

type exportedUser struct {
	ID          string    `json:"id"`
	Mode        string    `json:"mode"`
	Issuer      string    `json:"issuer"`
	ExternalID  string    `json:"externalId"`
	DisplayName string    `json:"displayName"`
	Status      Status    `json:"status"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

type exportedDevice struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	PublicKey  json.RawMessage `json:"publicKey"`
	Thumbprint string          `json:"thumbprint"`
	CreatedAt  time.Time       `json:"createdAt"`
	RevokedAt  *time.Time      `json:"revokedAt"`
}

type exportedContact struct {
	UserID      string    `json:"userId"`
	DisplayName string    `json:"displayName"`
	Blocked     bool      `json:"blocked"`
	CreatedAt   time.Time `json:"createdAt"`
}

// exportOwn adds what this domain holds.
func (s *Service) exportOwn(ctx context.Context, userID id.ID, document map[string]any) error {
	u, err := s.one(ctx, userID)
	if err != nil {
		return err
	}
	document["user"] = exportedUser{
		ID: id.Global("User", u.ID), Mode: u.Mode.String(), Issuer: u.Issuer, ExternalID: u.ExternalID,
		DisplayName: u.DisplayName, Status: u.Status, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
	owned, err := s.allDevices(ctx, userID)
	if err != nil {
		return err
	}
	devices := make([]exportedDevice, len(owned))
	for i, d := range owned {
		devices[i] = exportedDevice{id.Global("Device", d.ID), d.Name, d.PublicKey, d.Thumbprint, d.CreatedAt, d.RevokedAt}
	}
	document["devices"] = devices
	contacts, err := s.exportContacts(ctx, userID)
	document["contacts"] = contacts
	return err
}

func (s *Service) exportContacts(ctx context.Context, userID id.ID) ([]exportedContact, error) {
	all, err := s.allContacts(ctx, userID)
	if err != nil {
		return nil, err
	}
	ids := make([]id.ID, len(all))
	for i, c := range all {
		ids[i] = c.ContactID
	}
	users, err := s.byIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]exportedContact, len(all))
	for i, c := range all {
		out[i] = exportedContact{id.Global("User", c.ContactID), users[c.ContactID].DisplayName, c.Blocked, c.CreatedAt}
	}
	return out, nil
}
