package chat

import (
	"encoding/binary"
	"time"

	"github.com/soukhq/souk/internal/base/id"
)

// EntryKind tells what an entry of a feed is about.
type EntryKind string

// The kinds of entries.
const (
	EntryMessage EntryKind = "MESSAGE"
	EntryOrder   EntryKind = "ORDER"
)

// Entry says that something is new for a user.
type Entry struct {
	UserID    id.ID
	Seq       int64 // 1, 2, 3… in the user's feed
	Kind      EntryKind
	SubjectID id.ID // of the message or order
	Version   int32 // which change of an order; 0 for a message
	CreatedAt time.Time
}

// EntryPosition is where an entry stands in its feed.
func EntryPosition(e Entry) []byte { return SeqPosition(e.Seq) }

// head is where a feed stands.
type head struct {
	last   int64 // number of the newest entry
	pruned int64 // entries up to here are gone
}

// expired tells whether a reader who has seen up to after cannot go on: what
// follows is gone, or the feed never was that long.
func (h head) expired(after int64) bool { return after < h.pruned || after > h.last }

// SeqPosition is where the item of a number stands in a numbered list.
func SeqPosition(seq int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(seq)) }

// SeqAt reads a position back; 0 when there is none.
func SeqAt(pos []byte) int64 {
	if len(pos) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(pos))
}
