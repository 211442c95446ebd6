package merchantsim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Kind says what an entry of the log tells.
type Kind string

// The kinds of entries.
const (
	Asked    Kind = "order.asked"      // Souk asked to confirm an order
	Accepted Kind = "order.accepted"   // the answer was: later
	Answered Kind = "order.answered"   // the answer was, or is about to be, given
	Called   Kind = "order.called"     // an answer was brought to Souk, which said Status and Code
	Released Kind = "order.released"   // Souk said that the order is off
	Webhook  Kind = "webhook.received" // a webhook came; Verdict tells whether it was Souk's
	Refused  Kind = "message.refused"  // a message was not believed; Verdict tells why
)

// Verified is the verdict on what was signed as it should be.
const Verified = "ok"

// Entry is a line of the log. What does not concern its kind is empty.
type Entry struct {
	At        time.Time `json:"at"`
	Kind      Kind      `json:"kind"`
	OrderID   string    `json:"orderId,omitempty"`
	MessageID string    `json:"messageId,omitempty"` // "jti" of a message, "webhook-id" of a webhook
	SKU       string    `json:"sku,omitempty"`
	Quantity  int64     `json:"quantity,omitempty"`
	Total     *Money    `json:"total,omitempty"`
	Buyer     string    `json:"buyer,omitempty"`
	Decision  Decision  `json:"decision,omitempty"`
	Reference string    `json:"reference,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Behaviour Behaviour `json:"behaviour,omitempty"` // how it misbehaved, if it did
	Callback  bool      `json:"callback,omitempty"`  // by a call of the merchant's own
	Status    int       `json:"status,omitempty"`    // what the other side said to a call; 0 is nothing
	Code      string    `json:"code,omitempty"`
	Event     string    `json:"event,omitempty"`   // type of a webhook
	Verdict   string    `json:"verdict,omitempty"` // Verified, or what is wrong
	Again     bool      `json:"again,omitempty"`   // the same was seen before
}

// Confirms tells whether the entry is an answer that truly confirms the order:
// one that was not spoilt on purpose.
func (e Entry) Confirms() bool {
	return e.Kind == Answered && e.Decision == Confirmed && !e.Behaviour.spoils()
}

// maxRecent is how many entries are at hand without reading the file.
const maxRecent = 4096

// Log is a file of entries, one in a line, to which is only ever added. An entry
// that Append has returned for is on disk, whatever happens next.
//
// Entries that arrive while the disk is busy go to it together, with one fsync
// for all. So the log keeps up with thousands of orders a second on a disk that
// does some hundred fsyncs.
type Log struct {
	file *os.File
	wake chan struct{} // there is something in next
	idle chan struct{} // the writer has ended

	mu      sync.Mutex
	next    *batch
	err     error // after which nothing is written any more
	recent  []Entry
	counts  map[Kind]int64
	changed chan struct{} // closed when recent grows
}

// batch is what goes to disk together.
type batch struct {
	lines   []byte
	entries []Entry
	done    chan struct{}
	err     error
}

// errLogClosed is what Append says after Close.
var errLogClosed = errors.New("merchantsim: log is closed")

// OpenLog opens a log, or makes one, and tells what it holds to replay, entry by
// entry. What a crash left half-written at its end is cut off: nobody was told
// that it was there.
func OpenLog(path string, replay func(Entry)) (*Log, error) {
	l := &Log{
		wake: make(chan struct{}, 1), idle: make(chan struct{}), next: newBatch(),
		counts: map[Kind]int64{}, changed: make(chan struct{}),
	}
	end, err := scanLog(path, func(e Entry) { l.remember(e); replay(e) })
	if err != nil {
		return nil, err
	}
	if l.file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("merchantsim: log: %w", err)
	}
	if err := l.begin(path, end); err != nil {
		return nil, errors.Join(fmt.Errorf("merchantsim: log: %w", err), l.file.Close())
	}
	go l.run()
	return l, nil
}

// begin takes the file to its good end.
func (l *Log) begin(path string, end int64) error {
	if err := l.file.Truncate(end); err != nil {
		return err
	}
	if _, err := l.file.Seek(end, io.SeekStart); err != nil {
		return err
	}
	return errors.Join(l.file.Sync(), syncFolder(filepath.Dir(path)))
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// Append adds entries, next to one another, and returns when they are on disk.
func (l *Log) Append(entries ...Entry) error {
	var lines []byte
	now := time.Now().UTC()
	for i := range entries {
		entries[i].At = now
		line, err := json.Marshal(entries[i])
		if err != nil {
			return fmt.Errorf("merchantsim: log: %w", err)
		}
		lines = append(append(lines, line...), '\n')
	}
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return l.err
	}
	b := l.next
	b.lines, b.entries = append(b.lines, lines...), append(b.entries, entries...)
	select {
	case l.wake <- struct{}{}:
	default: // the writer has been woken, and will find this too
	}
	l.mu.Unlock()
	<-b.done
	return b.err
}

// run writes one batch after another. There is no timer: while one is on its way
// to the disk, the next gathers.
func (l *Log) run() {
	defer close(l.idle)
	for range l.wake {
		b, err := l.take()
		if b == nil {
			continue // it went with the batch before
		}
		if err == nil || errors.Is(err, errLogClosed) {
			_, err = l.file.Write(b.lines)
			if err == nil {
				err = l.file.Sync()
			}
		}
		l.finish(b, err)
	}
}

func (l *Log) take() (*batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.next.lines) == 0 {
		return nil, nil
	}
	b := l.next
	l.next = newBatch()
	return b, l.err
}

// finish lets those go who wait for a batch. After an error nothing is written
// any more: nobody can say what a file holds whose fsync has failed.
func (l *Log) finish(b *batch, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("merchantsim: log: %w", err)
		l.err, b.err = err, err
	} else {
		for _, e := range b.entries {
			l.remember(e)
		}
		close(l.changed)
		l.changed = make(chan struct{})
	}
	close(b.done)
}

func (l *Log) remember(e Entry) {
	if len(l.recent) >= 2*maxRecent {
		l.recent = append(l.recent[:0:0], l.recent[maxRecent:]...)
	}
	l.recent = append(l.recent, e)
	l.counts[e.Kind]++
}

// Recent gives the newest entries, some thousands, oldest first, and the number
// of all by kind.
func (l *Log) Recent() ([]Entry, map[Kind]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make(map[Kind]int64, len(l.counts))
	for k, n := range l.counts {
		counts[k] = n
	}
	return append([]Entry(nil), l.recent[max(0, len(l.recent)-maxRecent):]...), counts
}

// Await gives the first recent entry that suits, and waits for it if there is
// none yet.
func (l *Log) Await(ctx context.Context, suits func(Entry) bool) (Entry, error) {
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		recent, _ := l.Recent()
		for _, e := range recent {
			if suits(e) {
				return e, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Entry{}, ctx.Err()
		}
	}
}

// Close waits for what is on its way to the disk.
func (l *Log) Close() error {
	l.mu.Lock()
	closed := errors.Is(l.err, errLogClosed)
	if l.err == nil {
		l.err = errLogClosed
	}
	if !closed {
		// Whoever has added to next has left a token in wake before; a closed
		// channel still gives it out.
		close(l.wake)
	}
	l.mu.Unlock()
	<-l.idle
	if closed {
		return nil
	}
	return l.file.Close()
}

// ReadLog reads a log, also one that is being written. A last line that a crash
// has torn is left out; a damaged one amid good ones is an error.
func ReadLog(path string) ([]Entry, error) {
	var all []Entry
	_, err := scanLog(path, func(e Entry) { all = append(all, e) })
	return all, err
}

// maxLine bounds a line of the log: no message from which one is made is larger.
const maxLine = 1 << 20

// scanLog reads entries up to the first line that is none, and tells where the
// good lines end. Good lines after a bad one mean that the file is damaged, not
// torn.
func scanLog(path string, each func(Entry)) (end int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("merchantsim: log: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	lines.Split(wholeLines)
	torn := false
	for lines.Scan() {
		var e Entry
		good := json.Unmarshal(lines.Bytes(), &e) == nil && e.Kind != ""
		switch {
		case good && torn:
			return 0, fmt.Errorf("merchantsim: log: %s is damaged at byte %d", path, end)
		case good:
			each(e)
			end += int64(len(lines.Bytes())) + 1
		default:
			torn = true
		}
	}
	// Zeros without end are what some file systems leave where data never came.
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return 0, fmt.Errorf("merchantsim: log: %w", err)
	}
	return end, nil
}

// wholeLines splits at line ends, and leaves out what has none.
func wholeLines(data []byte, _ bool) (advance int, token []byte, err error) {
	i := bytes.IndexByte(data, '\n')
	if i < 0 {
		return 0, nil, nil
	}
	return i + 1, data[:i], nil
}
