package crash

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/soukhq/souk/internal/driver"
)

// Step says when a line of a journal was written.
type Step string

// The steps.
const (
	Intent Step = "intent" // before it was sent
	Lost   Step = "lost"   // no answer came: it is sent again
	Left   Step = "left"   // the client went away without waiting for an answer
	Answer Step = "answer" // after the answer came
	Told   Step = "told"   // what the API tells when all is over
)

// Act says what a line is about.
type Act string

// The acts.
const (
	ActTopUp   Act = "top-up"
	ActBuy     Act = "buy"
	ActMisuse  Act = "misuse" // a key is used again for something else
	ActCancel  Act = "cancel"
	ActReverse Act = "reverse"
	ActRefund  Act = "refund"
	ActOrder   Act = "order"   // told: an order
	ActReceipt Act = "receipt" // told: a receipt in the conversation
	ActWallet  Act = "wallet"  // told: a wallet
	ActStock   Act = "stock"   // told to the merchant: how many are left
)

// Entry is a line of a journal. What does not concern its act is empty.
type Entry struct {
	At       time.Time `json:"at"`
	Step     Step      `json:"step"`
	Act      Act       `json:"act"`
	Who      string    `json:"who"` // user or merchant
	Key      string    `json:"key,omitempty"`
	SKU      string    `json:"sku,omitempty"`
	ByCard   bool      `json:"byCard,omitempty"`   // the card is the merchant's confirmation
	Of       string    `json:"of,omitempty"`       // the order or the purchase's key that it is about
	Amount   int64     `json:"amount,omitempty"`   // cents: price, top-up, refund, balance; or how many are left
	Order    string    `json:"order,omitempty"`    // that was answered
	State    string    `json:"state,omitempty"`    // of the order or top-up
	Refunded int64     `json:"refunded,omitempty"` // of the order, in cents
	Held     int64     `json:"held,omitempty"`     // of the wallet, in cents
	Refund   string    `json:"refund,omitempty"`   // that was made
	Outcome  string    `json:"outcome,omitempty"`  // of a reversal
	Replayed bool      `json:"replayed,omitempty"` // says the answer
	Code     string    `json:"code,omitempty"`     // of a refusal
	Why      string    `json:"why,omitempty"`      // there was no answer
}

// about fills in the order that was answered.
func (e Entry) about(o driver.Order) Entry {
	e.Order, e.State, e.Refunded = o.ID, o.State, o.Refunded.Minor()
	return e
}

// Journal is a client's own log: a file of entries to which is only ever added.
// What Write has returned for is on disk.
type Journal struct {
	mu   sync.Mutex
	file *os.File
}

// OpenJournal makes a journal.
func OpenJournal(path string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &Journal{file: f}, nil
}

// Write adds entries and returns when they are on disk.
func (j *Journal) Write(entries ...Entry) error {
	var lines []byte
	for _, e := range entries {
		e.At = time.Now().UTC()
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(lines); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return j.file.Sync()
}

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }

// ReadJournals reads all journals of a folder, by time.
func ReadJournals(folder string) (all []Entry, err error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if err := readJournal(path, func(e Entry) { all = append(all, e) }); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return a.At.Compare(b.At) })
	return all, nil
}

func readJournal(path string, each func(Entry)) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("journal: %s, line %d: %w", path, n, err)
		}
		each(e)
	}
	return lines.Err()
}
