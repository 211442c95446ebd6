package merchantsim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func openLog(t testing.TB, path string) (*Log, []Entry) {
	t.Helper()
	var replayed []Entry
	l, err := OpenLog(path, func(e Entry) { replayed = append(replayed, e) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // again, in most tests
	return l, replayed
}

func TestLog_Append(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.jsonl")
	l, before := openLog(t, path)
	if len(before) != 0 {
		t.Fatal(before)
	}
	const writers, each = 20, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				order := fmt.Sprint(w, "-", n)
				if err := l.Append(Entry{Kind: Asked, OrderID: order}, Entry{Kind: Answered, OrderID: order}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all, err := ReadLog(path) // while it is open: what was appended is there
	if err != nil || len(all) != 2*writers*each {
		t.Fatal(len(all), err)
	}
	last := map[string]string{}
	for i := 0; i < len(all); i += 2 {
		if all[i].OrderID != all[i+1].OrderID || all[i+1].Kind != Answered || all[i].At.IsZero() {
			t.Fatal("torn apart:", all[i], all[i+1])
		}
		writer, n, _ := strings.Cut(all[i].OrderID, "-")
		if before := last[writer]; len(before) > len(n) || len(before) == len(n) && before >= n {
			t.Fatal("out of order:", writer, before, n)
		}
		last[writer] = n
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error("closed twice:", err)
	}
	if err := l.Append(Entry{Kind: Asked}); !errors.Is(err, errLogClosed) {
		t.Error(err)
	}
	l, before = openLog(t, path)
	if len(before) != len(all) {
		t.Error(len(before))
	}
	if recent, counts := l.Recent(); len(recent) != len(all) || counts[Asked] != writers*each {
		t.Error(len(recent), counts)
	}
}

// TestLog_Torn cuts the file at every byte of its last line: what was complete is
// there, the rest is gone, and what is written next can be read.
func TestLog_Torn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.jsonl")
	l, _ := openLog(t, path)
	for _, order := range []string{"a", "b"} {
		if err := l.Append(Entry{Kind: Asked, OrderID: order}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.Index(string(whole), "\n") + 1
	for end := first; end < len(whole); end++ {
		checkTorn(t, whole[:end])
	}
	checkTorn(t, append(whole[:first:first], make([]byte, 5000)...)) // zeros where data never came
	checkTorn(t, append(whole[:first:first], make([]byte, maxLine+1)...))
	checkTorn(t, append(whole[:first:first], "garbage\n{}\n\n{\"at\":"...))
}

func checkTorn(t *testing.T, content []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.jsonl")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := ReadLog(path)
	if err != nil || len(read) != 1 || read[0].OrderID != "a" {
		t.Fatal(read, err)
	}
	l, replayed := openLog(t, path)
	if len(replayed) != 1 {
		t.Fatal(replayed)
	}
	if err := errors.Join(l.Append(Entry{Kind: Asked, OrderID: "c"}), l.Close()); err != nil {
		t.Fatal(err)
	}
	read, err = ReadLog(path)
	if err != nil || len(read) != 2 || read[1].OrderID != "c" {
		t.Fatal(read, err)
	}
}

func TestLog_Damaged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.jsonl")
	content := "{\"kind\":\"order.asked\"}\nwhat is this?\n{\"kind\":\"order.asked\"}\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLog(path); err == nil || !strings.Contains(err.Error(), "byte 23") {
		t.Error(err)
	}
	if _, err := OpenLog(path, func(Entry) {}); err == nil {
		t.Error("opened: it would cut off good lines")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != content {
		t.Error("changed", err)
	}
}

func TestLog_WriteFails(t *testing.T) {
	t.Parallel()
	l, _ := openLog(t, filepath.Join(t.TempDir(), "log.jsonl"))
	if err := l.file.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and stays so
		if err := l.Append(Entry{Kind: Asked}); err == nil {
			t.Error("written to a closed file")
		}
	}
	if recent, _ := l.Recent(); len(recent) != 0 {
		t.Error(recent)
	}
}

func TestLog_Await(t *testing.T) {
	t.Parallel()
	l, _ := openLog(t, filepath.Join(t.TempDir(), "log.jsonl"))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	found := make(chan error)
	go func() {
		_, err := l.Await(ctx, func(e Entry) bool { return e.OrderID == "b" })
		found <- err
	}()
	for _, order := range []string{"a", "b"} {
		if err := l.Append(Entry{Kind: Asked, OrderID: order}); err != nil {
			t.Error(err)
		}
	}
	if err := <-found; err != nil {
		t.Error(err)
	}
	cancel()
	if _, err := l.Await(ctx, func(e Entry) bool { return e.OrderID == "c" }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLog_RecentIsBounded(t *testing.T) {
	t.Parallel()
	l, _ := openLog(t, filepath.Join(t.TempDir(), "log.jsonl"))
	many := make([]Entry, 5*maxRecent+1)
	for i := range many {
		many[i] = Entry{Kind: Asked, Quantity: int64(i)}
	}
	if err := l.Append(many...); err != nil {
		t.Fatal(err)
	}
	recent, counts := l.Recent()
	if len(recent) != maxRecent || recent[maxRecent-1].Quantity != 5*maxRecent || counts[Asked] != 5*maxRecent+1 {
		t.Error(len(recent), counts)
	}
	if cap(l.recent) > 4*maxRecent {
		t.Error(cap(l.recent))
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add([]byte("{\"kind\":\"order.asked\"}\n{\"ki"))
	f.Add([]byte("\n\n{\"kind\":\"x\"}\n"))
	f.Add([]byte("{\"kind\":\"x\",\"total\":{\"amountMinor\":1}}\r\n\x00\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "log.jsonl")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := ReadLog(path)
		if err != nil {
			return
		}
		book := newBook()
		l, err := OpenLog(path, book.replay)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.Append(Entry{Kind: Asked, OrderID: "new"}), l.Close()); err != nil {
			t.Fatal(err)
		}
		after, err := ReadLog(path)
		if err != nil || len(after) != len(before)+1 || after[len(before)].OrderID != "new" {
			t.Fatal(len(before), len(after), err)
		}
	})
}
