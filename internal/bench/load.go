package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	mrand "math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pick chooses who pays whom.
type pick func(r *mrand.Rand) (*payer, *seller)

// uniform lets any pay any.
func (m *market) uniform(r *mrand.Rand) (*payer, *seller) {
	return &m.payers[r.IntN(len(m.payers))], &m.sellers[r.IntN(len(m.sellers))]
}

// hot lets any pay one.
func (m *market) hot(r *mrand.Rand) (*payer, *seller) {
	return &m.payers[r.IntN(len(m.payers))], &m.sellers[0]
}

// confirmed lets any pay the one whose product server confirms each order.
func (m *market) confirmed(r *mrand.Rand) (*payer, *seller) {
	return &m.payers[r.IntN(len(m.payers))], &m.asked
}

// fleet is the connections that the load comes over, kept from run to run.
type fleet struct {
	wires []*wire
	// paid counts what Souk has ever acknowledged to this fleet.
	paid atomic.Int64
}

func newFleet(addr string, size int) (*fleet, error) {
	f := &fleet{}
	for range size {
		w, err := dial(addr)
		if err != nil {
			f.close()
			return nil, err
		}
		f.wires = append(f.wires, w)
	}
	return f, nil
}

func (f *fleet) close() {
	for _, w := range f.wires {
		w.close()
	}
}

// keys makes idempotency keys: a part that is drawn once, and a count.
type keys struct {
	text  [32]byte
	count uint32
}

func newKeys() *keys {
	var k keys
	copy(k.text[:], rand.Text()) // 26 characters
	return &k
}

// next gives another key, until it is called again.
func (k *keys) next() string {
	k.count++
	hex.Encode(k.text[24:], []byte{byte(k.count >> 24), byte(k.count >> 16), byte(k.count >> 8), byte(k.count)})
	return string(k.text[:])
}

// each runs work on every connection at once, and gives the first error. The
// others stop by stopped, which tells that one has failed.
func (f *fleet) each(work func(n int, w *wire, failed func() bool) error) error {
	var (
		wg     sync.WaitGroup
		failed atomic.Bool
		errs   = make([]error, len(f.wires))
	)
	for n, w := range f.wires {
		wg.Go(func() {
			if errs[n] = work(n, w, failed.Load); errs[n] != nil {
				failed.Store(true)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// closed keeps every connection busy for a time and gives the payments a second
// that were acknowledged in it. Those under way at its end are finished, and not
// counted in the rate.
func (f *fleet) closed(ctx context.Context, choose pick, d time.Duration) (float64, error) {
	var inTime atomic.Int64
	until := time.Now().Add(d)
	err := f.each(func(_ int, w *wire, failed func() bool) error {
		r, keys, n := mrand.New(mrand.NewPCG(mrand.Uint64(), mrand.Uint64())), newKeys(), int64(0)
		defer func() { inTime.Add(n) }()
		for time.Now().Before(until) && !failed() && ctx.Err() == nil {
			by, of := choose(r)
			if err := w.pay(by, of, keys.next()); err != nil {
				return err
			}
			f.paid.Add(1)
			if time.Now().Before(until) {
				n++
			}
		}
		return ctx.Err()
	})
	return float64(inTime.Load()) / d.Seconds(), err
}

// touch lets every payer and every seller take part in one payment, so that Souk
// has seen each token and each card.
func (f *fleet) touch(ctx context.Context, m *market) error {
	return f.each(func(n int, w *wire, failed func() bool) error {
		keys := newKeys()
		for i := n; i < len(m.payers) && !failed() && ctx.Err() == nil; i += len(f.wires) {
			if err := w.pay(&m.payers[i], &m.sellers[i%len(m.sellers)], keys.next()); err != nil {
				return err
			}
			f.paid.Add(1)
		}
		return ctx.Err()
	})
}

// open sends at a rate, whether Souk keeps up or not: arrivals are drawn as those
// of pgbench are (a Poisson process), each is sent by the next connection that is
// free, and what it took counts from when it was due. It gives that in
// milliseconds, sorted.
func (f *fleet) open(ctx context.Context, choose pick, rate float64, d time.Duration) ([]float64, error) {
	due := arrivals(rate, d)
	took := make([]float64, len(due))
	var next atomic.Int64
	began := time.Now().Add(50 * time.Millisecond)
	err := f.each(func(_ int, w *wire, failed func() bool) error {
		r, keys := mrand.New(mrand.NewPCG(mrand.Uint64(), mrand.Uint64())), newKeys()
		for !failed() && ctx.Err() == nil {
			i := next.Add(1) - 1
			if i >= int64(len(due)) {
				return nil
			}
			at := began.Add(due[i])
			time.Sleep(time.Until(at))
			by, of := choose(r)
			if err := w.pay(by, of, keys.next()); err != nil {
				return err
			}
			f.paid.Add(1)
			took[i] = float64(time.Since(at).Microseconds()) / 1000
		}
		return ctx.Err()
	})
	slices.Sort(took)
	return took, err
}

// arrivals draws when payments are due.
func arrivals(rate float64, d time.Duration) []time.Duration {
	var due []time.Duration
	for at := 0.0; ; {
		at += mrand.ExpFloat64() / rate
		if at >= d.Seconds() {
			return due
		}
		due = append(due, time.Duration(at*float64(time.Second)))
	}
}
