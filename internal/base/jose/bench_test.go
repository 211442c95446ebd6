package jose

import "testing"

// BenchmarkVerify is what a request pays for its token.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []Algorithm{ES256, EdDSA, RS256} {
		b.Run(string(alg), func(b *testing.B) {
			k := generated(b, alg)
			token, err := Sign([]byte(`{"iss":"https://issuer.example","sub":"u1","aud":["souk"],"exp":1900000000,"iat":1800000000,"jti":"j","device":"d1"}`), k, "JWT")
			if err != nil {
				b.Fatal(err)
			}
			o := VerifyOptions{Keys: setOf(b, k.Public()), Issuer: "https://issuer.example", Audience: "souk", Typ: "JWT", Now: at}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Verify(token, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify_Form is the part of it that is not cryptography.
func BenchmarkVerify_Form(b *testing.B) {
	k := generated(b, ES256)
	token, err := Sign([]byte(`{"iss":"https://issuer.example","sub":"u1","aud":["souk"],"exp":1900000000,"iat":1800000000,"jti":"j","device":"d1"}`), k, "JWT")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNested is what forwarding an order and reading its answer costs.
func BenchmarkNested(b *testing.B) {
	souk, merchant := generated(b, EdDSA), generated(b, ECDHESA256KW)
	payload := []byte(`{"iss":"souk","aud":"m1","exp":1900000000}`)
	pub := merchant.Public()
	b.Run("EncryptSigned", func(b *testing.B) {
		for b.Loop() {
			if _, err := EncryptSigned(payload, souk, "souk-order+jwt", pub); err != nil {
				b.Fatal(err)
			}
		}
	})
	token, err := EncryptSigned(payload, souk, "souk-order+jwt", pub)
	if err != nil {
		b.Fatal(err)
	}
	d, v := DecryptOptions{Keys: setOf(b, merchant)}, VerifyOptions{Keys: setOf(b, souk.Public()), Now: at}
	b.Run("DecryptVerify", func(b *testing.B) {
		for b.Loop() {
			if _, err := DecryptVerify(token, d, v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
