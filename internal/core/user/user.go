package user

import (
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/text"
)

// Limits of what is kept about a user.
const (
	NameMax       = 200 // characters
	ExternalIDMax = 255 // bytes: what OpenID Connect allows a subject
)

// Status tells whether a user may act.
type Status string

// The states of a user.
const (
	Active  Status = "ACTIVE"
	Blocked Status = "BLOCKED"
	Removed Status = "REMOVED"
	Erased  Status = "ERASED"
)

// Gone tells whether the user has left for good.
func (s Status) Gone() bool { return s == Removed || s == Erased }

// User is a person of the chat app.
type User struct {
	ID               id.ID
	Mode             mode.Mode
	Issuer           string // who signs the person's tokens
	ExternalID       string // their subject
	DisplayName      string
	Status           Status
	TokensValidAfter time.Time // tokens issued before are revoked; zero: none
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// erased is what is left of a user.
func (u User) erased() User {
	u.Status = Erased
	u.ExternalID = "erased:" + u.ID.String()
	u.DisplayName = "Erased user"
	return u
}

// Profile is what a server says of a user.
type Profile struct {
	ExternalID  string
	DisplayName string
}

// clean checks the profile and takes space from around the name.
func (p Profile) clean() (Profile, error) {
	if !text.Token(p.ExternalID, ExternalIDMax) {
		return p, ErrText.In("externalId")
	}
	name, ok := text.Line(p.DisplayName, NameMax)
	if !ok {
		return p, ErrText.In("displayName")
	}
	p.DisplayName = name
	return p, nil
}

// ContactState is what two users are to each other.
type ContactState string

// The states of a contact.
const (
	ContactMutual  ContactState = "CONTACT" // each counts the other among their friends
	ContactBlocked ContactState = "BLOCKED" // the first has blocked the second
	ContactNone    ContactState = "NONE"    // nothing, either way
)

// Contact is a user's view of another.
type Contact struct {
	ID        id.ID // names the entry in the user's list
	UserID    id.ID // whose view
	ContactID id.ID // of whom
	Blocked   bool
	CreatedAt time.Time
}

// ContactPosition is where a contact stands in its user's list.
func ContactPosition(c Contact) []byte { return c.ID[:] }

// GlobalID is how the outside names it.
func (u User) GlobalID() string { return id.Global("User", u.ID) }
