package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soukhq/souk/internal/driver"
)

const (
	patience  = 10 * time.Second // for one answer
	retryWait = 50 * time.Millisecond
	retryMost = 500 * time.Millisecond
)

// tally counts what clients meet.
type tally struct {
	answers atomic.Int64 // of purchases
	mu      sync.Mutex
	lost    map[string]int // by why
}

func (t *tally) lose(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost == nil {
		t.lost = map[string]int{}
	}
	t.lost[why]++
}

// client calls Souk as a good client does.
type client struct {
	souk    []*driver.Client // Souk's servers; any will do
	journal *Journal
	tally   *tally
	random  *rand.Rand
	mu      sync.Mutex // guards random
}

func (c *client) intN(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

// upTo gives a random time.
func (c *client) upTo(d time.Duration) time.Duration { return time.Duration(c.intN(int(d))) }

// send is one attempt; it fills in what was answered.
type send func(ctx context.Context, souk *driver.Client, e *Entry) error

// do has Souk do something once: what is intended is on disk before, what was
// answered after. While there is no answer the outcome is not known, and the same
// is sent again with the same idempotency key.
func (c *client) do(ctx context.Context, e Entry, try send) (Entry, error) {
	e.Step = Intent
	if err := c.journal.Write(e); err != nil {
		return e, err
	}
	for n := 1; ; n++ {
		answer, err := c.try(ctx, e, try)
		if err == nil {
			answer.Step = Answer
			if answer.Act == ActBuy {
				c.tally.answers.Add(1)
			}
			return answer, c.journal.Write(answer)
		}
		if ctx.Err() != nil {
			return e, fmt.Errorf("%s %s has no answer: %w", e.Act, e.Key, err)
		}
		c.tally.lose(reason(err))
		lost := e
		lost.Step, lost.Why = Lost, err.Error()
		if err := c.journal.Write(lost); err != nil {
			return e, err
		}
		wait(ctx, c.upTo(min(retryWait<<min(n, 10), retryMost)))
	}
}

// try sends once. A refusal is an answer; an error says that there was none.
func (c *client) try(ctx context.Context, e Entry, try send) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := try(ctx, c.souk[c.intN(len(c.souk))], &e)
	var (
		refused *driver.UserError
		failed  *driver.Error
	)
	switch {
	case errors.As(err, &refused) && refused.Retry != "SAME_KEY" && refused.Retry != "AFTER":
		e.Code = refused.Code
		return e, nil
	case errors.As(err, &failed) && failed.Status < http.StatusInternalServerError && !comesAgain(failed.Code):
		e.Code = failed.Code // it will be the same next time, and the judge wants to know
		return e, nil
	}
	return e, err
}

// Codes of faults that pass.
const (
	codeInternal    = "INTERNAL"
	codeUnavailable = "UNAVAILABLE"
	codeRateLimited = "RATE_LIMITED"
)

func comesAgain(code string) bool {
	return code == codeInternal || code == codeUnavailable || code == codeRateLimited
}

// reason sorts why there was no answer.
func reason(err error) string {
	var failed *driver.Error
	if errors.As(err, &failed) {
		return failed.Code
	}
	return "connection"
}

// leave sends something and goes away before the answer: what became of it is
// not known afterwards.
func (c *client) leave(ctx context.Context, e Entry, after time.Duration, try send) error {
	e.Step = Intent
	if err := c.journal.Write(e); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, after)
	defer cancel()
	gone := e // what it fills in nobody has seen
	_ = try(short, c.souk[c.intN(len(c.souk))], &gone)
	e.Step = Left
	return c.journal.Write(e)
}
