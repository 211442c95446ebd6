package merchantsim

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkServer_Order is what a confirmation costs the product server: one
// message decrypted and verified, one answer signed and encrypted, both on disk,
// over HTTP on the same machine. The messages are made before.
func BenchmarkServer_Order(b *testing.B) {
	t := setup(b)
	to := t.sim.keys.Decrypt.Public()
	tokens := make(chan string, b.N)
	for range b.N {
		tokens <- t.souk.seal(b, t.souk.order("mug", 1), to)
	}
	server := httptest.NewServer(t.sim.Handler())
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 256
	b.SetParallelism(32) // 64 callers on two cores
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Post(server.URL+"/orders", ContentType, strings.NewReader(<-tokens))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				b.Errorf("answered %d", resp.StatusCode)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// BenchmarkLog_Append is the log alone.
func BenchmarkLog_Append(b *testing.B) {
	l, _ := openLog(b, b.TempDir()+"/log.jsonl")
	e := Entry{Kind: Answered, OrderID: "T3JkZXI6AZrFxQ", SKU: "mug", Quantity: 1, Total: &Money{1250, "EUR"}, Decision: Confirmed, Reference: "S-abc"}
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Append(e, e); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}
