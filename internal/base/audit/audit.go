// Package audit keeps who did what to whom, wherever a server or an operator
// acted with more than a user's rights.
//
// An entry is written in the transaction of the act, so that neither is there
// without the other. Entries outlive the people they are about: they name them
// by id, and their detail holds nothing personal.
package audit

import (
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
)

// Entry is one act.
type Entry struct {
	By        auth.Viewer // who acted, and in which mode
	Action    string      // such as "user.block"
	SubjectID id.ID       // to whom or what; none for the whole mode
	Detail    any         // what else must be known, to be kept as JSON; nil for nothing
	At        time.Time
}
