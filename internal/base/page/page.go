// Package page cuts lists into Relay connections: a bounded number of rows
// before or after an opaque, tamper-evident cursor.
package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/soukhq/souk/internal/base/errs"
)

// Max is the largest page.
const Max = 100

// Refusals of paging arguments.
var (
	ErrSize   = errs.New(errs.Invalid, "PAGE_SIZE_INVALID", "Give first or last, not both, from 1 to 100.")
	ErrCursor = errs.New(errs.Invalid, "CURSOR_INVALID", "This cursor was not made by Souk for this list. Start again without it.")
)

// Args are what a caller asks of a list, as the Relay connection specification
// names them.
type Args struct {
	First, Last   *int
	After, Before *string
}

// Slice is the decoded request: up to Limit rows, from the list's head
// (Backward false) or from its tail, strictly between the two positions.
type Slice struct {
	Limit         int
	Backward      bool
	After, Before []byte // positions in the list; nil when open
}

// Signer makes cursors and recognises its own. A cursor binds a position to the
// list that it was made for, so that one of another list, or of another user's,
// is refused rather than misread.
type Signer struct{ key []byte }

// NewSigner makes a signer from a secret of at least 16 bytes.
func NewSigner(key []byte) *Signer { return &Signer{key: key} }

const macSize = 10 // 80 bits: a forged cursor shows nothing that its forger could not list

// Cursor makes the cursor of a position in a list.
func (s *Signer) Cursor(list string, pos []byte) string {
	b := make([]byte, 0, macSize+len(pos))
	b = append(b, s.mac(list, pos)...)
	b = append(b, pos...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Position reads a cursor of the list back.
func (s *Signer) Position(list, cursor string) ([]byte, error) {
	if len(cursor) > 512 {
		return nil, ErrCursor
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < macSize || !hmac.Equal(b[:macSize], s.mac(list, b[macSize:])) {
		return nil, ErrCursor
	}
	return b[macSize:], nil
}

// Slice checks what a caller asked of a list.
func (s *Signer) Slice(list string, a Args) (Slice, error) {
	var out Slice
	switch {
	case a.First != nil && a.Last == nil:
		out.Limit = *a.First
	case a.Last != nil && a.First == nil:
		out.Limit, out.Backward = *a.Last, true
	default:
		return out, ErrSize
	}
	if out.Limit < 1 || out.Limit > Max {
		return out, ErrSize
	}
	var err error
	if a.After != nil {
		if out.After, err = s.Position(list, *a.After); err != nil {
			return out, err
		}
	}
	if a.Before != nil {
		if out.Before, err = s.Position(list, *a.Before); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (s *Signer) mac(list string, pos []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(list))
	h.Write([]byte{0})
	h.Write(pos)
	return h.Sum(nil)[:macSize]
}

// List is one page of items, in the order of the list.
type List[T any] struct {
	Items   []T
	HasNext bool
	HasPrev bool
}

// Cut makes a page from up to Limit+1 rows that were read in the direction of
// the slice: the surplus row only says that there is more.
func Cut[T any](sl Slice, rows []T) List[T] {
	more := len(rows) > sl.Limit
	if more {
		rows = rows[:sl.Limit]
	}
	if !sl.Backward {
		return List[T]{Items: rows, HasNext: more, HasPrev: sl.After != nil}
	}
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return List[T]{Items: rows, HasPrev: more, HasNext: sl.Before != nil}
}
