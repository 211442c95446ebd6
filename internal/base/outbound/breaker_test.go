package outbound

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// onNetwork makes a client whose network is f, for tests in a bubble of time.
func onNetwork(t *testing.T, f tripper) *Client {
	c := newClient(t, func(cfg *Config) { cfg.BreakerFailures, cfg.BreakerOpen = 3, time.Minute })
	c.secure = f
	return c
}

func TestClient_Do_Breaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, status := 0, 500
		c := onNetwork(t, func(*http.Request) (*http.Response, error) { calls++; return answer(status) })
		const url = "https://merchant.example/"

		for range 3 {
			if res, err := get(t, c, url); err != nil || res.Status != 500 {
				t.Fatalf("a failing host's answer is an answer: %v, %v", res.Status, err)
			}
		}
		time.Sleep(20 * time.Second)
		wantOpen(t, c, url, 40*time.Second)
		if _, err := get(t, c, "https://other.example/"); err != nil {
			t.Errorf("another host: %v", err)
		}

		time.Sleep(40*time.Second + time.Nanosecond) // half open: one probe, which fails
		if _, err := get(t, c, url); err != nil {
			t.Errorf("probe: %v", err)
		}
		wantOpen(t, c, url, time.Minute)

		time.Sleep(time.Minute + time.Nanosecond)
		calls, status = 0, 200
		for range 5 { // the probe closes the circuit
			if _, err := get(t, c, url); err != nil {
				t.Errorf("recovered: %v", err)
			}
		}
		if calls != 5 {
			t.Errorf("%d calls", calls)
		}
	})
}

func wantOpen(t *testing.T, c *Client, url string, retryIn time.Duration) {
	t.Helper()
	_, err := get(t, c, url)
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrOpen) || !NotSent(err) || e.RetryIn != retryIn {
		t.Errorf("%#v, want open for %v", err, retryIn)
	}
}

func TestClient_Do_BreakerProbesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, probing := make(chan struct{}), false
		c := onNetwork(t, func(*http.Request) (*http.Response, error) {
			if probing {
				<-hold
				return answer(200)
			}
			return nil, io.ErrUnexpectedEOF
		})
		const url = "https://merchant.example/"
		for range 3 {
			if _, err := get(t, c, url); !errors.Is(err, ErrTransport) {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute + time.Nanosecond)
		probing = true
		done := make(chan error)
		go func() { _, err := c.Do(context.Background(), Request{URL: url}); done <- err }()
		synctest.Wait()
		wantOpen(t, c, url, 10*time.Second)
		close(hold)
		if err := <-done; err != nil {
			t.Errorf("probe: %v", err)
		}
		if _, err := get(t, c, url); err != nil {
			t.Errorf("after the probe: %v", err)
		}
	})
}

// What a healthy host answers, and what says nothing of it, never opens.
func TestClient_Do_BreakerStaysClosed(t *testing.T) {
	t.Parallel()
	answers := map[string]tripper{
		"400":       func(*http.Request) (*http.Response, error) { return answer(400) },
		"404":       func(*http.Request) (*http.Response, error) { return answer(404) },
		"410":       func(*http.Request) (*http.Response, error) { return answer(410) },
		"429":       func(*http.Request) (*http.Response, error) { return answer(429) },
		"redirect":  func(*http.Request) (*http.Response, error) { return answer(302) },
		"refused":   func(*http.Request) (*http.Response, error) { return nil, refusal{io.EOF} },
		"cancelled": func(*http.Request) (*http.Response, error) { return nil, context.Canceled },
		"too large": func(*http.Request) (*http.Response, error) {
			res, err := answer(200)
			res.Body = io.NopCloser(io.LimitReader(zeros{}, 2<<20))
			return res, err
		},
	}
	for name, f := range answers {
		c := onNetwork(t, f)
		for range 10 {
			if _, err := get(t, c, "https://merchant.example/"); errors.Is(err, ErrOpen) {
				t.Errorf("%s opened the circuit", name)
				break
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A merchant who points at another's server cannot cut it off from him.
func TestClient_Do_BreakerPerParty(t *testing.T) {
	t.Parallel()
	c := onNetwork(t, func(*http.Request) (*http.Response, error) { return answer(503) })
	do := func(party string) error {
		_, err := c.Do(t.Context(), Request{URL: "https://victim.example/always-fails", Party: party})
		return err
	}
	for range 3 {
		_ = do("mallory")
	}
	if err := do("mallory"); !errors.Is(err, ErrOpen) {
		t.Errorf("mallory: %v", err)
	}
	if err := do("victim"); err != nil {
		t.Errorf("victim: %v", err)
	}
}

func TestBreakers_AreBounded(t *testing.T) {
	t.Parallel()
	c := newClient(t, func(cfg *Config) { cfg.BreakersMax = 10 })
	c.secure = tripper(func(*http.Request) (*http.Response, error) { return answer(200) })
	for i := range 100 {
		if _, err := get(t, c, "https://m"+strconv.Itoa(i)+".example/"); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.breakers.hosts.Len(); n != 10 {
		t.Errorf("%d hosts remembered", n)
	}
}
