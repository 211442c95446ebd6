package graph

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"
)

// discard is a response writer that costs nothing itself.
type discard struct {
	header http.Header
	status int
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { d.n += len(p); return len(p), nil }

// BenchmarkHandler is what the edge costs by itself for a small operation whose
// document is known: reading, checking, running, writing; no network.
func BenchmarkHandler(b *testing.B) {
	h, err := NewHandler(Config{
		Resolver: &Resolver{},
		Verifier: fakeVerifier{},
		Log:      slog.New(slog.DiscardHandler),
		Gate:     func(context.Context, int) error { return nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	fake, err := newHandler(newFakeSchema(), Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name string
		h    *Handler
		body string
	}{
		{"typename", h, `{"query":"{ __typename }"}`},
		{"viewer", h, `{"query":"query Who { viewer { mode } }","operationName":"Who","variables":{}}`},
		{"edge-only", fake, `{"operationName":"Add","query":"query Add($n: Int, $p: Point) { echo(n: $n, p: $p) }","variables":{"n":3,"p":{"x":1,"money":{"amountMinor":"1250","currency":"EUR"},"colour":"RED"}}}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			body := []byte(bench.body)
			w := &discard{header: http.Header{}}
			r, _ := http.NewRequest(http.MethodPost, "/graphql", nil)
			r.Header.Set("Content-Type", typeJSON)
			r.Header.Set("Accept", typeGraphQL)
			r.Header.Set("Authorization", "Bearer ann")
			r.RemoteAddr = "127.0.0.1:4242"
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				r.Body = io.NopCloser(bytes.NewReader(body))
				h := bench.h
				h.ServeHTTP(w, r)
				if w.status != http.StatusOK {
					b.Fatal(w.status)
				}
			}
		})
	}
}
