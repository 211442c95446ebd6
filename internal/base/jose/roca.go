package jose

import "math/big"

// hasROCA tells whether a modulus was made by the flawed generator of
// CVE-2017-15361, whose keys can be factored: its primes are powers of 65537
// modulo small primes, and so is their product. A sound modulus is taken for such
// a one with a probability of 2^-27 (Nemec and others, "The Return of
// Coppersmith's Attack", 2017).
func hasROCA(n *big.Int) bool {
	primes := []uint16{
		3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73,
		79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
	}
	for _, p := range primes {
		rest := new(big.Int).Mod(n, big.NewInt(int64(p))).Int64()
		if !isPower(rest, 65537, int64(p)) {
			return false
		}
	}
	return true
}

// isPower tells whether x is a power of base modulo p.
func isPower(x, base, p int64) bool {
	at := int64(1)
	for range p {
		if at == x {
			return true
		}
		at = at * base % p
	}
	return false
}
