package auth

import (
	"testing"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
)

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []jose.Algorithm{jose.EdDSA, jose.ES256, jose.RS256} {
		tb := setup(b)
		tb.issuer.publish(newKey(b, alg))
		tb.clock.Advance(refreshGap)
		token := tb.token(b, "alice", map[string]any{"device": id.Global(DeviceType, tb.device)})
		b.Run(string(alg)+", new token", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				tb.sessions.Purge()
				if _, err := verifyBearer(tb.Verifier, token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(alg)+", known token", func(b *testing.B) {
			b.ReportAllocs()
			r := request(token)
			for range b.N {
				if _, err := tb.VerifyRequest(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(alg)+", known token, parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				r := request(token)
				for pb.Next() {
					if _, err := tb.VerifyRequest(b.Context(), r); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkDPoP(b *testing.B) {
	tb := setup(b)
	p := prover{tb, newKey(b, jose.ES256)}
	token := p.token(b)
	var proofs []string
	for b.Loop() {
		if len(proofs) == 0 {
			b.StopTimer()
			for range 1000 {
				proofs = append(proofs, p.proof(b, token, nil))
			}
			b.StartTimer()
		}
		r := request("", "Authorization", "DPoP "+token, "DPoP", proofs[0])
		proofs = proofs[1:]
		if _, err := tb.VerifyRequest(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
